"""What a killed command must not leave behind."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return all living descendants of a process; needs Linux."""
    found = []
    with suppress(OSError):  # it ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children = map(int, (thread / "children").read_text().split())
            found += [one for child in children for one in (child, *descendants(child))]
    return found


def left_over(pids: list[int], patience_s: float = 5.0) -> list[int]:
    """Return which processes are still there when the patience is over."""
    until = time.monotonic() + patience_s
    while (alive := [pid for pid in pids if _is_alive(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    return alive


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
