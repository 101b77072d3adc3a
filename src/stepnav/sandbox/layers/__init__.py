"""The layers of the box: what a program in it cannot do, each by another means of the system."""
