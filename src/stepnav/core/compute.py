"""Settings of the numeric libraries, which they read when they are loaded."""

from __future__ import annotations

import os
import sys

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Threads sleep at once instead of spinning (OpenMP 5.2, section 21.7; libgomp's manual).

Beside another busy process a spinning thread takes the very core that the thread it waits for
needs, and two threads are several times slower than one.
"""

REPRODUCIBLE = {"MKL_CBWR": "AUTO,STRICT"}
"""MKL's matrix products give the same bits whatever the shape of the batch (oneMKL's developer
guide, "Strict CNR mode"). Without it some CPUs (seen with AVX-512 and AMX) take other kernels for
other numbers of rows, and a search would depend on what shares its batch. Costs about a tenth.
"""


def prepare() -> None:
    """Make both settings, each unless the user has made it.

    Call it before torch is imported. Processes that are started later inherit it.
    """
    for settings in (PASSIVE, REPRODUCIBLE):
        if not settings.keys() & os.environ.keys():
            os.environ.update(settings)


def _use_one_thread() -> None:
    """Let torch compute on one thread in a fork of a process that has loaded it.

    OpenMP's other threads are not there any more, and libgomp would wait for them for ever.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_use_one_thread)
