"""Backends that score steps."""
