"""Gives memory that was freed back to the system, where the C library keeps it.

Keys and values of evicted prefixes lie between those that stay, and what a pass computes does not
fit into the gaps, so that the process would grow long after its cache is full. glibc returns whole
free pages only when it is asked to; elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return all whole free pages to the system; takes milliseconds."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
        if trim is not None:
            trim(0)
