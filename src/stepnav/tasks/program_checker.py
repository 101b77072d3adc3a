"""Runs programs against tests for the code tasks, behind one sandbox that starts when it is first needed."""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import get_args

from stepnav.core.errors import ConfigError, DataError, nearest
from stepnav.sandbox.judge import judge_problem
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Level, Verdict
from stepnav.sandbox.records import Problem as Suite

LEVELS: tuple[str, ...] = get_args(Level)


class ProgramChecker:
    """Says whether programs pass tests; a context manager that ends its processes.

    Args:
      level: the sandbox level; one that does not work here is refused, never weakened.
      workers: programs that run at once.
      cpu_s: CPU seconds of one program; None takes the sandbox's limit.

    Raises:
      ConfigError: there is no such level.
    """

    def __init__(
        self, level: str = "process", *, workers: int = 1, cpu_s: float | None = None
    ) -> None:
        if level not in LEVELS:
            raise ConfigError(
                f"no sandbox level is called {level!r}{nearest(level, list(LEVELS))}; "
                f"there are: {', '.join(LEVELS)}"
            )
        self.workers, self.cpu_s = workers, cpu_s
        self.sandbox = Sandbox(level, workers=workers)  # type: ignore[arg-type]

    def check(self, program: str, test: Suite) -> Verdict:
        """Return the verdict on one program.

        Raises:
          SandboxError: the sandbox cannot be set up at this level.
          DataError: the test cannot be used, or its reference fails it.
        """
        return judge_problem(self.sandbox, test, program, cpu_s=self.cpu_s)

    def check_many(
        self, jobs: Iterable[tuple[str, Suite]]
    ) -> Generator[Verdict | DataError, None, None]:
        """Yield the verdicts on (program, test) pairs in order; for a test that cannot be used, why not.

        Raises:
          SandboxError: the sandbox cannot be set up at this level.
        """
        if self.workers == 1:
            yield from (self._attempt(*job) for job in jobs)
            return
        with ThreadPoolExecutor(self.workers) as threads:
            waiting: deque[Future[Verdict | DataError]] = deque()
            try:
                for job in jobs:
                    waiting.append(threads.submit(self._attempt, *job))
                    if len(waiting) > 4 * self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def passes(self, program: str, test: Suite | None) -> bool | None:
        """Return whether a program passes, None where there is no test."""
        return None if test is None else self.check(program, test).status == "passed"

    def close(self) -> None:
        """End the processes; may be called twice."""
        self.sandbox.close()

    def __enter__(self) -> ProgramChecker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _attempt(self, program: str, test: Suite) -> Verdict | DataError:
        try:
            return self.check(program, test)
        except DataError as error:
            return error


@lru_cache(maxsize=8)
def shared_checker(level: str) -> ProgramChecker:
    """Return the checker that all callers in this process share; it ends with the process."""
    checker = ProgramChecker(level)
    atexit.register(checker.close)
    return checker
