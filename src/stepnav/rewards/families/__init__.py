"""Public families of reward models, one per file: how each is loaded, read and marked."""
