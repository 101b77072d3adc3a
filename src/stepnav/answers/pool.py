"""A few warm worker processes that compare answers with math-verify and may be killed.

Starting one costs the import of math-verify (about a second), so they start when first needed and
stay. A worker that dies in a comparison, by its CPU limit or otherwise, is replaced at its next
use.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import subprocess
import sys
from typing import Any, Literal

from stepnav.core.errors import ConfigError

Equality = Literal["equal", "different", "timeout"]
"""Whether two answers are the same; "timeout" if that could not be settled within the limits."""

MISSING = "comparing these answers needs math-verify: pip install 'stepnav[math]'"


def lacks_math() -> bool:
    """Return whether one of the packages that the extra `math` brings is not installed."""
    return any(importlib.util.find_spec(name) is None for name in ("mpmath", "math_verify"))


class WorkerDiedError(Exception):
    """The worker ended in the middle of a comparison."""


class Worker:
    """One worker process, started at its first comparison."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None while no process runs."""
        return None if self._process is None else self._process.pid

    def compare(self, answer: str, reference: str, cpu_s: float) -> Equality:
        """Return the worker's verdict; a death in the middle is "timeout"."""
        if self._process is not None and self._process.poll() is not None:
            self.close()  # killed from outside while idle
        if self._process is None:
            self._start()
        request = {"answer": answer, "reference": reference, "cpu_s": cpu_s}
        try:
            verdict: Equality = self._ask(json.dumps(request) + "\n")["verdict"]
        except WorkerDiedError:
            self.close()
            return "timeout"
        return verdict

    def close(self) -> None:
        """End the process and wait for it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _start(self) -> None:
        if importlib.util.find_spec("math_verify") is None:
            raise ConfigError(MISSING)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stepnav.answers.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        try:
            greeting = self._ask("")
        except WorkerDiedError:
            self.close()
            raise ConfigError("the math-verify worker process died while starting") from None
        if "error" in greeting:
            self.close()
            raise ConfigError(f"{MISSING} (import failed: {greeting['error']})")

    def _ask(self, line: str) -> dict[str, Any]:
        process = self._process
        assert process is not None, "a worker was asked before it was started"
        assert process.stdin is not None, "a worker has no input pipe"
        assert process.stdout is not None, "a worker has no output pipe"
        try:
            process.stdin.write(line)
            process.stdin.flush()
            reply = process.stdout.readline()
        except OSError:
            reply = ""
        if not reply:
            raise WorkerDiedError
        return json.loads(reply)  # type: ignore[no-any-return]


class WorkerPool:
    """Workers shared between threads: each comparison has one to itself.

    Args:
      num_workers: most processes at once; each starts when it is first needed.
      cpu_s: CPU seconds that one comparison may use.
    """

    def __init__(self, num_workers: int = 1, *, cpu_s: float = 5.0) -> None:
        if num_workers < 1 or not cpu_s > 0:
            raise ValueError(
                f"num_workers and cpu_s must be positive (got {num_workers} and {cpu_s})"
            )
        self.num_workers = num_workers
        self.cpu_s = cpu_s
        self._workers = [Worker() for _ in range(num_workers)]
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        for worker in reversed(self._workers):
            self._idle.put(worker)

    def compare(self, answer: str, reference: str) -> Equality:
        """Return math-verify's verdict; waits for a free worker."""
        worker = self._idle.get()
        try:
            return worker.compare(answer, reference, self.cpu_s)
        except BaseException:
            worker.close()  # an interrupt leaves a reply in the pipe
            raise
        finally:
            self._idle.put(worker)

    def pids(self) -> list[int]:
        """Return the ids of the running processes."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def close(self) -> None:
        """End all processes; may be called twice, and a later comparison starts new ones."""
        for worker in self._workers:
            worker.close()
