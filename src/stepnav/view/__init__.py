"""Search trees for people to look at."""
