"""Records, tree, budget, votes, seeds, errors: the standard library only, no input or output."""
