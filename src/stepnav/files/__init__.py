"""Files: rows of any container; what a run leaves, whole, for one set of settings, by one process.

Parquet needs pyarrow, the rest the standard library only.
"""
