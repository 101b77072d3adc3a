"""Backends that propose steps."""
