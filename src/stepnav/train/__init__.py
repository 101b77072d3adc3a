"""Trainers of small language models and reward models, and the data that they learn from."""
