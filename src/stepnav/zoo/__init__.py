"""The models that ship with the package: weights, cards, recipe."""

from pathlib import Path

MODELS_FOLDER = Path(__file__).parent / "models"
"""Holds `NAME-policy` and `NAME-prm`, ordinary `save_pretrained` folders."""
