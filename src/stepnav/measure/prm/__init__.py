"""How good a reward model is by itself."""
