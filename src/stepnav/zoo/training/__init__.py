"""The small trainers of the shipped models."""
