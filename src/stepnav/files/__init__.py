"""Rows of data files, in any container; what a run leaves: whole, for one set of settings.

Parquet needs pyarrow, the rest the standard library only.
"""
