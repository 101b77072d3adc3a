"""The layers of the box: what a program inside it cannot do, each by another means of the system."""
