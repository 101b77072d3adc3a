"""The embedded arithmetic task: word problems, drawn by seed, with an exact step checker."""
