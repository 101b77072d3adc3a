"""Step-labelled data for code, made by mutation testing of reference programs that have tests."""
