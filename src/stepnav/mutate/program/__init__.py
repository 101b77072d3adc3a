"""A program's text and syntax: places, edits, rewrites, steps."""
