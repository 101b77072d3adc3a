"""The embedded code task: small Python functions with tests, drawn by seed."""
