"""A live session: the trusted parent asks the candidate one operation at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stepnav.core.errors import SandboxError
from stepnav.sandbox.answers import from_answer, lost
from stepnav.sandbox.control import Session
from stepnav.sandbox.inside import box
from stepnav.sandbox.operations import encode_operation
from stepnav.sandbox.pool import Sandbox, split_frames
from stepnav.sandbox.records import CallResult, Operation
from stepnav.sandbox.worker import End, WarmParentDiedError, Worker


class LiveSession(Session):
    """A program in the box that answers as long as the session is open.

    Use `open_session`; the program was loaded when it returns.

    Attributes:
      loaded: how running the source ended.
      asked, answers: the encoded operations so far and the raw answers to them.
      end: how the process ended; None while it runs.
    """

    def __init__(self, worker: Worker, max_depth: int) -> None:
        super().__init__()
        self.asked: list[bytes] = []
        self.answers: list[bytes] = []
        self.end: End | None = None
        self._worker = worker
        self._max_depth = max_depth
        self._data = bytearray()
        self.loaded = self._next()[0]

    def run(self, operation: Operation) -> CallResult:
        """Return what came of one operation."""
        return self.ask(encode_operation(operation))[1]

    def ask(self, operation: bytes) -> tuple[int, CallResult]:
        """Return an operation's index and what came of it."""
        index = len(self.asked)
        self.asked.append(operation)
        if self.end is not None:
            return index, lost(self.end)
        self._worker.send(box.HEADER.pack(len(operation)) + operation)
        result, answer = self._next()
        if answer is not None:
            self.answers.append(answer)
        return index, result

    def finish(self) -> End:
        """End the process; return how it ended."""
        self._worker.kill()
        while self.end is None:
            self._receive()
        return self.end

    def _next(self) -> tuple[CallResult, bytes | None]:
        while not (frames := split_frames(self._data, 1)):
            if self.end is not None:
                return lost(self.end), None
            self._receive()
        return from_answer(frames[0], max_depth=self._max_depth), frames[0]

    def _receive(self) -> None:
        part = self._worker.receive()
        assert part is not None, "without patience there is a part"
        if isinstance(part, End):
            self.end = part
        else:
            self._data += part


@contextlib.contextmanager
def open_session(
    sandbox: Sandbox, source: str, *, cpu_s: float | None = None, wall_s: float | None = None
) -> Iterator[LiveSession]:
    """Load a program and hold its process; its state is kept from call to call.

    Args:
      sandbox: where it runs; one of its warm parents is taken for as long as this is open.
      source: the program.
      cpu_s, wall_s: limits of the whole session; None for the sandbox's.

    Raises:
      SandboxError: the warm parent died; the session's state is lost.
    """
    limits = sandbox.limits
    try:
        with sandbox.worker() as worker:
            worker.submit(
                sandbox.job_message(source, [], is_live=True),
                cpu_s=cpu_s or limits.cpu_s,
                wall_s=wall_s or limits.wall_s,
                output_bytes=limits.output_bytes,
            )
            session = LiveSession(worker, limits.max_depth)
            yield session
            session.finish()
    except WarmParentDiedError:
        raise SandboxError(
            "the sandbox's warm parent died during a session; run the program again"
        ) from None
