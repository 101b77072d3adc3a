"""How the threads of a computation wait for each other."""

from __future__ import annotations

import os

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Sleep at once instead of spinning (OpenMP 5.2, section 21.7; libgomp's manual)."""


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait, unless the user has set how they do.

    Beside another busy process a spinning thread takes the very core that the thread it waits for
    needs, and two threads are several times slower than one. Read when OpenMP is loaded: call it
    before torch is imported. Processes that are started later inherit it.
    """
    if not PASSIVE.keys() & os.environ.keys():
        os.environ.update(PASSIVE)
