"""Search strategies, one per file; each is a generator that never touches a model."""
