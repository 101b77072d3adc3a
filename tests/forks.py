"""Work in a fork of the test's process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def is_true_in_fork(work: Callable[[], bool], limit_s: int = 20) -> bool:
    """Return whether a fork finds so; false if it raises, or hangs."""
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # pytest's own would end the test here
            signal.alarm(limit_s)
            os._exit(not work())
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0
