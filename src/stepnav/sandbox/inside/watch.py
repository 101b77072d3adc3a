"""The clocks and the output count of a child of the warm parent, read outside it."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

POLL_AT_LEAST_S = 0.001
MAX_WALL_FACTOR = 10
"""A program that keeps computing may take so many times its wall limit, until its CPU limit."""

WALL_STEP_S = 1.0
LEAST_SHARE = 0.02
"""Share of one CPU below which a program counts as idle."""


class Child(NamedTuple):
    """A confined fork that waits for its job."""

    pid: int
    channel: socket.socket


class Watch:
    """The clocks and the output count of one child, all read outside it."""

    def __init__(
        self, child: Child, cpu_s: float, wall_s: float, output_bytes: int, is_batch: bool
    ) -> None:
        self.child = child
        self.cpu_s = cpu_s
        self.is_batch = is_batch
        self.most_cpu_s = wall_s if is_batch else cpu_s
        self._clock = ((~child.pid) << 3) | 2  # CLOCK of a process: see clock_getcpuclockid(3)
        self.used_before = self.used()
        self._cpu_until = self.used_before + cpu_s
        now = time.monotonic()
        self._wall_until = now + wall_s
        self._wall_at_most = now + wall_s * MAX_WALL_FACTOR
        self._looked = (now, self.used())
        self._left = output_bytes

    def used(self) -> float:
        """Return the child's CPU seconds so far."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0

    def count(self, size: int) -> bool:
        """Count output; return whether it is more than allowed."""
        self._left -= size
        if self.is_batch:
            self._cpu_until = self.used() + self.cpu_s
        return self._left < 0

    def remaining_s(self) -> float:
        """Return for how many seconds it is surely not overdue, so when to look again."""
        wall = self._wall_until - time.monotonic()
        return max(POLL_AT_LEAST_S, min(wall, self._cpu_until - self.used()))

    def overdue(self) -> bytes | None:
        """Return "t" or "w" if its CPU or wall time is over.

        On a busy machine a program that computes waits for its turn; only one that does not even
        try to compute is ended by the wall clock.
        """
        used, now = self.used(), time.monotonic()
        if used >= self._cpu_until:
            return b"t"
        if now < self._wall_until:
            return None
        since, before = self._looked
        if now < self._wall_at_most and used - before > LEAST_SHARE * (now - since):
            self._looked = (now, used)
            self._wall_until = now + WALL_STEP_S
            return None
        return b"w"
