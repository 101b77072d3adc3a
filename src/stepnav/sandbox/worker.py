"""The trusted parent's side of one warm parent: start it, give it a job, read what comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from stepnav.core.errors import SandboxError
from stepnav.sandbox.codec import decode, encode
from stepnav.sandbox.inside.server import END, JOB
from stepnav.sandbox.inside.watch import MAX_WALL_FACTOR
from stepnav.sandbox.layers.advice import layer_message
from stepnav.sandbox.layers.docker import docker_command
from stepnav.sandbox.pipes import ClosedError, Pipes
from stepnav.sandbox.records import Level, Limits

PACKAGE = Path(__file__).parent.parent
BOOT = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import os, types
register, os.register_at_fork = os.register_at_fork, lambda **hooks: None
for name, folder in (("stepnav", sys.argv[1]), ("stepnav.sandbox", sys.argv[1] + "/sandbox")):
    module = types.ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module
from stepnav.sandbox.inside.boot import main
main(register)
"""
"""Loads the box's own modules without site-packages and without the package's `__init__`.

Meanwhile no module may ask to be called in forks: `random` would seed itself anew in each."""

START_S = 60.0
GRACE_S = 10.0
"""A warm parent that has not ended a job this long after its wall limit is taken for dead."""


class End(NamedTuple):
    """How the child of a job ended.

    Attributes:
      why: "c" it closed its channel, "k" killed on request, "t" CPU time, "w" wall time, "o"
        output.
      code: exit code, negative for a signal.
      cpu_s: CPU seconds, measured by the kernel.
    """

    why: str
    code: int
    cpu_s: float


CLEAN_END = End("c", 0, 0.0)


class WarmParentDiedError(Exception):
    """The warm parent ended in the middle of a job."""


class Worker:
    """One warm parent; started at the first job, restarted once if it dies in one.

    Args:
      level: sandbox level.
      limits: what its children may use; fixed when it starts, but for the two clocks.
      image: container image for level "docker".
    """

    def __init__(self, level: Level, limits: Limits, *, image: str = "") -> None:
        self.level = level
        self.limits = limits
        self.image = image
        self._process: subprocess.Popen[bytes] | None = None
        self._pipes: Pipes | None = None
        self._is_busy = False
        self._num_unread = 0

    def start(self) -> None:
        """Start the warm parent and wait until it has put on its layers.

        Raises:
          SandboxError: a layer is missing, or it died.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._process = subprocess.Popen(
            self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=_environment(self.level), cwd="/", bufsize=0,
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None, "piped"
        self._pipes = Pipes(self._process.stdout.fileno(), self._process.stdin.fileno())
        try:
            self._send(b"S", encode({"level": self.level, "limits": asdict(self.limits)}))
            message = self._receive(time.monotonic() + START_S)
            assert message is not None, "without patience there is a message or a death"
        except WarmParentDiedError:
            code = self._process.wait() if self._process.poll() is not None else None
            self.close()
            raise SandboxError(
                f"the sandbox's warm parent did not start at level {self.level!r} (exit code "
                f"{code}); see docs/sandbox.md"
            ) from None
        if message[0] == b"X":
            self.close()
            raise SandboxError(layer_message(self.level, *decode(message[1])))

    def command(self) -> list[str]:
        """Return the command line of the warm parent."""
        if self.level == "docker":
            return docker_command(self.image, PACKAGE, self.limits, BOOT)
        return [sys.executable, "-S", "-s", "-B", "-c", BOOT, str(PACKAGE)]

    def submit(
        self,
        job: bytes,
        *,
        cpu_s: float,
        wall_s: float,
        output_bytes: int,
        is_batch: bool = False,
    ) -> None:
        """Hand over a job; `receive` gives what comes back."""
        assert not self._is_busy, "a warm parent runs one job at a time"
        self.start()
        self._deadline = time.monotonic() + wall_s * MAX_WALL_FACTOR + GRACE_S
        self._is_busy = True
        self._send(b"J", JOB.pack(cpu_s, wall_s, output_bytes, is_batch) + job)

    def send(self, data: bytes) -> None:
        """Hand data to the child of the running job."""
        self._send(b"D", data)

    def kill(self) -> None:
        """Ask for the end of the running job's child; its `End` still has to be received."""
        if self._is_busy:
            self._send(b"K", b"")

    def keep(self) -> None:
        """Say that the running batch is finished, so that its child may serve the next one.

        Its `End` is not to be received: the next job need not wait for it.
        """
        if self._is_busy:
            self._send(b"F", b"")
            self._is_busy = False
            self._num_unread += 1

    def receive(self, patience_s: float | None = None) -> bytes | End | None:
        """Return the next bytes from the child, or its end; None if the patience was over first.

        Raises:
          WarmParentDiedError: the warm parent is gone; the job's fate is unknown.
        """
        while True:
            message = self._receive(self._deadline, patience_s)
            if message is None:
                return None
            kind, payload = message
            if kind == b"D":
                return payload
            why, code, cpu_s, is_last = END.unpack(payload)
            if not self._num_unread:
                break
            self._num_unread -= 1
            if is_last:
                raise WarmParentDiedError
        self._is_busy = False
        if is_last:
            self.close()  # the next job starts another one
        return End(why.decode(), code, cpu_s)

    def close(self) -> None:
        """End the warm parent and everything in it; may be called twice."""
        process, self._process = self._process, None
        self._pipes = None
        self._is_busy = False
        self._num_unread = 0
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int | None:
        """The process id of the warm parent; None while none runs."""
        return None if self._process is None else self._process.pid

    def _send(self, kind: bytes, payload: bytes) -> None:
        """Put a message on its way; what does not fit into the pipe leaves while we receive."""
        assert self._pipes is not None, "not started"
        try:
            self._pipes.put(kind, payload)
        except ClosedError:
            raise WarmParentDiedError from None

    def _receive(
        self, deadline: float, patience_s: float | None = None
    ) -> tuple[bytes, bytes] | None:
        assert self._pipes is not None, "not started"
        now = time.monotonic()
        until = deadline if patience_s is None else min(deadline, now + patience_s)
        try:
            while (message := self._pipes.take()) is None:
                if now >= deadline:
                    raise WarmParentDiedError
                if now >= until:
                    return None
                self._pipes.exchange(until - now, {})
                now = time.monotonic()
        except ClosedError:
            raise WarmParentDiedError from None
        return message


def _environment(level: Level) -> dict[str, str]:
    """Return all that the box may see of the environment; a fixed hash seed keeps set order."""
    clean = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    if level == "docker":
        clean.update({name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ})
    return clean
