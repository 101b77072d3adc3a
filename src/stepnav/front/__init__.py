"""The front door: solve a question, watch it being solved, compare strategies, from Python.

The same names, models and defaults as on the command line; `stepnav/__init__.py` lists what is
public. Models may be names, folders, URLs, backends, or plain functions.
"""
