"""Runs programs against tests for the code tasks, behind one sandbox that is opened when it is first needed."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator
from functools import lru_cache

from stepnav.sandbox import Level, Sandbox, Verdict, judge
from stepnav.sandbox import Problem as Test


class ProgramChecker:
    """Says whether programs pass tests; a context manager that ends its processes.

    Args:
      level: the sandbox level; one that does not work here is refused, never weakened.
      workers: programs that run at once.
      cpu_s: CPU seconds of one program; None takes the sandbox's limit.
    """

    def __init__(self, level: Level = "process", *, workers: int = 1, cpu_s: float | None = None) -> None:
        self.level, self.workers, self.cpu_s = level, workers, cpu_s
        self._sandbox: Sandbox | None = None

    def check(self, program: str, test: Test) -> Verdict:
        """Return the verdict on one program.

        Raises:
          SandboxError: the sandbox cannot be set up at this level.
        """
        return judge(self._open(), program, test)

    def passes(self, program: str, test: Test | None) -> bool | None:
        """Return whether a program passes, None where there is no test."""
        return None if test is None else self.check(program, test).status == "passed"

    def close(self) -> None:
        """End the processes; may be called twice."""
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            sandbox.close()

    def __enter__(self) -> ProgramChecker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
