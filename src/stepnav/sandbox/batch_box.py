"""Inside the box: many variants of one trusted program in one fork, each in fresh globals.

Each variant has a CPU limit of its own, a timer that raises in it. Whatever is not plain (time or
memory over, a deep recursion, an exit, a module that could keep state, a changed built-in) is reported
as unusual, and judged again in a fork of its own: the batch is a short cut, never another verdict.

A job is `("batch", sources, operations, cpu_s, max_depth, output_bytes, is_patient)`. Each variant
gets one answer, `(index, answers or None if unusual, is late, CPU seconds)`; of one that is late, the
answers that it gave in time, which may settle the verdict.
"""

from __future__ import annotations

import builtins
import random
import signal
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

from stepnav.sandbox import box
from stepnav.sandbox.codec import encode

FLUSH_BYTES = 2**14
FLUSH_S = 0.005
REPEAT_S = 0.02
"""A variant that catches the timer's exception is interrupted again and again."""

SAFE_MODULES = frozenset({
    "abc", "array", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "enum", "fractions",
    "functools", "hashlib", "heapq", "itertools", "json", "math", "numbers", "operator", "random",
    "re", "statistics", "string", "sys", "textwrap", "time", "typing",
})  # fmt: skip
"""Modules that a program cannot easily leave changed behind it."""

SUSPICIOUS = frozenset({
    "setattr", "delattr", "exec", "eval", "globals", "vars", "__import__", "__builtins__",
    "__dict__", "__globals__", "__class__", "__subclasses__", "__bases__", "__mro__", "__code__",
    "__closure__", "__defaults__", "setrecursionlimit", "settrace", "setprofile", "modules",
    "_getframe", "register", "cache_clear", "cache_info", "__setattr__", "displayhook",
    "set_int_max_str_digits", "sleep", "tzset", "id",
})  # fmt: skip
"""Names that may reach beyond the program's own globals."""

_FOREIGN = (sys.stdlib_module_names - SAFE_MODULES) | SUSPICIOUS


class LateError(BaseException):
    """The variant's CPU time is over."""


class Clock:
    """The timer of one variant: raises `LateError` in it, and remembers that it did."""

    def __init__(self) -> None:
        self.is_late = False
        signal.signal(signal.SIGPROF, self._ring)

    def start(self, cpu_s: float) -> None:
        """Allow this many CPU seconds from now."""
        self.is_late = False
        signal.setitimer(signal.ITIMER_PROF, cpu_s, REPEAT_S)

    def stop(self) -> None:
        """Stop, whenever the timer rings."""
        try:
            signal.setitimer(signal.ITIMER_PROF, 0)
        except LateError:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _ring(self, number: int, frame: types.FrameType | None) -> None:
        self.is_late = True
        raise LateError


def run(channel: int, message: tuple[Any, ...]) -> None:
    """Serve one batch over a descriptor."""
    _, sources, operations, cpu_s, max_depth, max_bytes, is_patient = message
    clock = Clock()
    state = STATE
    state.settle()
    waiting: list[bytes] = []
    flushed = time.perf_counter()
    for index, source in enumerate(sources):
        program = box.Program(max_depth=max_depth, max_bytes=max_bytes)
        began = time.thread_time()
        answers = _judge_one(program, source, operations, clock, cpu_s)
        used = time.thread_time() - began
        is_usual = _is_usual(program, answers, state, max_bytes)
        waiting.append(encode((index, answers if is_usual else None, clock.is_late, used)))
        now = time.perf_counter()
        if not is_patient or now - flushed > FLUSH_S or sum(map(len, waiting)) > FLUSH_BYTES:
            box.send(channel, *waiting)
            waiting.clear()
            flushed = now
    box.send(channel, *waiting)


def _judge_one(
    program: box.Program, source: str, operations: list[bytes], clock: Clock, cpu_s: float
) -> list[bytes]:
    """Return a variant's answers, the one to loading first; if it is late, those in time."""
    if "random" in source:
        random.seed(0)
    answers: list[bytes] = []
    was_strange = False
    try:
        clock.start(cpu_s)
        answers.append(program.load(source))
        for operation in operations if program.is_loaded else ():
            if clock.is_late:
                break
            was_strange = program.is_strange
            answers.append(program.answer(operation))
    except LateError:
        program.is_strange = was_strange
        return answers
    finally:
        clock.stop()
    if clock.is_late:  # the program caught the exception, or an answer was made of it
        program.is_strange = was_strange
        answers.pop()
    return answers


class State:
    """What one variant could leave changed for the next.

    Made in the warm parent: copying the tables in a fork would copy the memory behind them.
    """

    def __init__(self) -> None:
        self._builtins = dict(vars(builtins))
        self._modules = {
            name: (sys.modules[name], dict(vars(sys.modules[name])))
            for name in SAFE_MODULES - {"sys"}
            if name in sys.modules
        }
        self._settings: tuple[Any, ...] = ()

    def settle(self) -> None:
        """Take the settings of this process as the unchanged ones."""
        sys.modules[box.MODULE] = types.ModuleType(box.MODULE)  # it is there from now on
        self._settings = self._read_settings()

    def is_changed(self, names: set[str]) -> bool:
        """Return whether built-ins, settings or the named modules are not as they were."""
        if vars(builtins) != self._builtins or self._read_settings() != self._settings:
            return True
        used = [self._modules[name] for name in names & self._modules.keys()]
        return any(vars(module) != saved for module, saved in used)

    def _read_settings(self) -> tuple[Any, ...]:
        return (
            sys.getrecursionlimit(), len(sys.modules), sys.gettrace(), sys.getprofile(),
            signal.getsignal(signal.SIGPROF), signal.getsignal(signal.SIGALRM),
        )  # fmt: skip


def _is_usual(program: box.Program, answers: list[bytes], state: State, max_bytes: int) -> bool:
    """Return whether a fork of its own would have given the same answers."""
    if program.is_strange or sum(map(len, answers)) > max_bytes // 2:
        return False
    names = set(_names(program.code)) if program.code is not None else set()
    return not (names & _FOREIGN) and not state.is_changed(names)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


STATE = State()
