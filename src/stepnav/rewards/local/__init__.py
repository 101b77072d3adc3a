"""What reward models in this process share: steps as tokens, the engine's queue, and reading scores."""
