"""A user's own test files, as programs with a check of their own."""
