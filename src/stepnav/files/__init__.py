"""What a run leaves on the disk: whole or not at all, for one set of settings, by one process at a time."""
