"""Inside the box: many variants of trusted programs in one fork, each in fresh globals.

Each variant has a CPU limit of its own, a timer that raises in it. One that may reach beyond its
own globals is not run here but reported as unusual, and judged in a fork of its own. After one that
went an unusual way (time or memory over, an exit, something left changed) the batch ends, and the
rest is run in a fresh fork: the batch is a short cut, never another verdict.

A job is `("batch", sources, operations, digests, cpu_s, max_depth, output_bytes, is_patient)`. Each
variant gets one answer: `FOUND` (its index, whether it is usual, whether it is late, its CPU
seconds), then, if it is usual, its own answers, joined. One that is late is asked no more, nor is
one whose answer differs from the reference's (by its digest; none is given to ask everything): the
answers so far may settle the verdict. If nothing in the batch was unusual and all is as when the
fork began, `MAY_SERVE_ON` follows, and the fork waits for a batch of another program.
"""

from __future__ import annotations

import random
import signal
import struct
import time
import types
from hashlib import blake2b
from itertools import zip_longest
from typing import Any

from stepnav.sandbox.codec import encode
from stepnav.sandbox.inside import box
from stepnav.sandbox.inside.batch_state import State

FOUND = struct.Struct("<I??d")
FLUSH_BYTES = 2**14
FLUSH_S = 0.02
REPEAT_S = 0.02
"""A variant that catches the timer's exception is interrupted again and again."""

MAY_SERVE_ON = encode(("end",))


class LateError(BaseException):
    """The variant's CPU time is over."""


class Clock:
    """The timer of one variant: raises `LateError` in it, and remembers that it did."""

    def __init__(self) -> None:
        self.is_late = False

    def install(self) -> None:
        """Make the timer's signal raise `LateError` in this process."""
        signal.signal(signal.SIGPROF, self._ring)

    def start(self, cpu_s: float) -> None:
        """Allow this many CPU seconds from now."""
        self.is_late = False
        signal.setitimer(signal.ITIMER_PROF, cpu_s, REPEAT_S)

    def stop(self) -> None:
        """Stop the timer, even if it rings in the middle of this."""
        try:
            signal.setitimer(signal.ITIMER_PROF, 0)
        except LateError:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _ring(self, number: int, frame: types.FrameType | None) -> None:
        self.is_late = True
        raise LateError


def run(channel: int, message: tuple[Any, ...], state: State) -> bool:
    """Serve one batch over a descriptor; return whether this process may serve another."""
    _, sources, operations, digests, cpu_s, max_depth, max_bytes, is_patient = message
    CLOCK.install()
    state.settle(channel)
    asked = [box.Asked(operation, is_repeated=True) for operation in operations]
    questions = list(zip_longest(asked, digests))
    out = _Out(channel, is_patient)
    is_clean = True
    for index, source in enumerate(sources):
        program = box.Program(max_depth=max_depth, max_bytes=max_bytes)
        program.compile(source)
        names = state.plain_names(program.code)
        if names is None:
            out.add(FOUND.pack(index, False, False, 0.0))
            continue
        began = time.thread_time()
        answers = _judge_one(program, source, questions, cpu_s)
        used = time.thread_time() - began
        is_usual = not (program.is_strange or state.is_changed(names))
        is_usual = is_usual and sum(map(len, answers)) <= max_bytes // 2
        head = FOUND.pack(index, is_usual, CLOCK.is_late, used)
        out.add(head + box.join(answers) if is_usual else head)
        if CLOCK.is_late or not is_usual:
            is_clean = False
            break
    program = answers = asked = questions = None  # type: ignore[assignment]
    is_clean = is_clean and state.is_as_at_first(channel)
    if is_clean:
        out.add(MAY_SERVE_ON)
    out.flush()
    return is_clean


class _Out:
    """Frames on their way out, several at a time if there is time.

    Args:
      channel: where to.
      is_patient: whether frames may wait for others.
    """

    def __init__(self, channel: int, is_patient: bool) -> None:
        self._channel, self._is_patient = channel, is_patient
        self._waiting: list[bytes] = []
        self._size = 0
        self._flushed = time.perf_counter()

    def add(self, frame: bytes) -> None:
        self._waiting.append(frame)
        self._size += len(frame)
        is_time = time.perf_counter() - self._flushed > FLUSH_S
        if is_time or self._size > FLUSH_BYTES or not self._is_patient:
            self.flush()

    def flush(self) -> None:
        box.send(self._channel, *self._waiting)
        self._waiting.clear()
        self._size = 0
        self._flushed = time.perf_counter()


def digest(answer: bytes) -> bytes:
    """Return an answer's digest, by which it is compared with the reference's."""
    return blake2b(answer, digest_size=32).digest()


def _judge_one(
    program: box.Program,
    source: str,
    questions: list[tuple[box.Asked, bytes | None]],
    cpu_s: float,
) -> list[bytes]:
    """Return a variant's answers, that to loading first, up to the first late or other one.

    An answer that is finished when the time is over does not count: the program may have caught the
    timer's exception, or the answer may tell of it.
    """
    if "random" in source or not source.isascii():  # an identifier may be spelled in other letters
        random.seed(0)
    answers: list[bytes] = []
    was_strange = False
    try:
        CLOCK.start(cpu_s)
        for operation, expected in [(None, None), *questions]:
            answer = program.load(source) if operation is None else program.answer(operation)
            if CLOCK.is_late:
                break
            was_strange = program.is_strange
            answers.append(answer)
            if not program.is_loaded or (expected is not None and digest(answer) != expected):
                break
    except LateError:
        pass
    finally:
        CLOCK.stop()
    if CLOCK.is_late:
        program.is_strange = was_strange
    return answers


CLOCK = Clock()
