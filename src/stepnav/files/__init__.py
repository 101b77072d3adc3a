"""What a run leaves on the disk: whole, for one set of settings, by one process at a time."""
