"""What runs inside the box: the warm parent, its forks, and the programs in them."""
