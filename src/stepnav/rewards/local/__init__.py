"""What reward models in this process share: steps as tokens, a queue, and reading scores."""
