"""Inside the box: many variants of trusted programs in one fork, each in fresh globals.

Each variant has a CPU limit of its own, a timer that raises in it. Whatever is not plain (time or
memory over, a deep recursion, an exit, a module that could keep state, a changed built-in) is reported
as unusual, and judged again in a fork of its own: the batch is a short cut, never another verdict.

A job is `("batch", sources, operations, digests, cpu_s, max_depth, output_bytes, is_patient)`. Each
variant gets one answer: `FOUND` (its index, whether it is usual, whether it is late, its CPU seconds),
then, if it is usual, its own answers, joined. One that is late
is asked no more, nor is one whose answer differs from the reference's (by its digest; none is given to
ask everything): the answers so far may settle the verdict. If nothing in the batch was unusual and all
is as when the fork began, `MAY_SERVE_ON` follows, and the fork waits for a batch of another program.
"""

from __future__ import annotations

import builtins
import gc
import os
import random
import resource
import signal
import struct
import sys
import time
import types
import warnings
from _signal import getsignal  # type: ignore[import-not-found]  # `signal.getsignal` is slow
from hashlib import blake2b
from itertools import zip_longest
from opcode import opmap
from typing import Any

from stepnav.sandbox import box
from stepnav.sandbox.codec import encode

FOUND = struct.Struct("<I??d")
FLUSH_BYTES = 2**14
FLUSH_S = 0.02
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
    "set_int_max_str_digits", "sleep", "tzset", "id", "getattr", "attrgetter", "methodcaller",
    "__getattribute__", "__delattr__", "__del__", "__self__", "__base__", "mro", "tb_frame",
    "__traceback__", "f_back", "f_globals", "f_builtins", "f_locals", "gi_frame", "cr_frame",
    "ag_frame", "open", "dispatch_table", "__all__", "EXCLUDED_ATTRIBUTES", "algorithms_available",
    "algorithms_guaranteed", "samples", "getsizeof", "__sizeof__", "MemoryError",
})  # fmt: skip
"""Names that may reach beyond the program's own globals, or see where a value is kept."""

_FOREIGN = (sys.stdlib_module_names - SAFE_MODULES) | SUSPICIOUS
_HARMLESS_IN_SYS = frozenset({"maxsize", "float_info", "byteorder", "maxunicode", "version_info"})
_OF_SYS = frozenset(dir(sys)) - _HARMLESS_IN_SYS
_CHANGES_ATTRIBUTE = {opmap["STORE_ATTR"], opmap["DELETE_ATTR"]}

MAY_SERVE_ON = encode(("end",))
MOST_GROWTH_KIB = 16 * 2**10
"""A fork that has used so much more memory than at its start serves no further batch."""


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


def run(channel: int, message: tuple[Any, ...]) -> bool:
    """Serve one batch over a descriptor; return whether this process may serve another."""
    _, sources, operations, digests, cpu_s, max_depth, max_bytes, is_patient = message
    state = STATE
    clock = state.settle(channel)
    asked = [box.Asked(operation, is_repeated=True) for operation in operations]
    questions = list(zip_longest(asked, digests))
    waiting: list[bytes] = []
    size = 0
    is_clean = True
    flushed = time.perf_counter()
    for index, source in enumerate(sources):
        program = box.Program(max_depth=max_depth, max_bytes=max_bytes)
        began = time.thread_time()
        answers = _judge_one(program, source, questions, clock, cpu_s)
        used = time.thread_time() - began
        is_usual = _is_usual(program, answers, state, max_bytes)
        is_clean = is_clean and is_usual and not clock.is_late
        head = FOUND.pack(index, is_usual, clock.is_late, used)
        waiting.append(head + box.join(answers) if is_usual else head)
        size += len(waiting[-1])
        now = time.perf_counter()
        if not is_patient or now - flushed > FLUSH_S or size > FLUSH_BYTES:
            box.send(channel, *waiting)
            waiting.clear()
            size = 0
            flushed = now
    del program, answers, asked, questions
    is_clean = is_clean and state.is_as_at_first(channel)
    box.send(channel, *waiting, *([MAY_SERVE_ON] if is_clean else []))
    return is_clean


def digest(answer: bytes) -> bytes:
    """Return what tells an answer from others."""
    return blake2b(answer, digest_size=16).digest()


def _judge_one(
    program: box.Program,
    source: str,
    questions: list[tuple[box.Asked, bytes | None]],
    clock: Clock,
    cpu_s: float,
) -> list[bytes]:
    """Return a variant's answers, the one to loading first, up to the first late or different one."""
    if "random" in source or not source.isascii():  # an identifier may be spelled in other letters
        random.seed(0)
    answers: list[bytes] = []
    was_strange = False
    try:
        clock.start(cpu_s)
        answers.append(program.load(source))
        for operation, expected in questions if program.is_loaded else ():
            if clock.is_late:
                break
            was_strange = program.is_strange
            answers.append(program.answer(operation))
            if expected is not None and digest(answers[-1]) != expected:
                break
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
        self._private = {
            name
            for module, _ in self._modules.values()
            for name in vars(module)
            if name.startswith("_") and not name.endswith("__") and name != "_"
        }
        self._settings: tuple[Any, ...] = ()
        self._rare_settings: tuple[Any, ...] = ()
        self._kib = self._free = 0
        self._clock: Clock | None = None

    def settle(self, channel: int) -> Clock:
        """Take the settings of this process as the unchanged ones, once; return its timer."""
        if self._clock is None:
            self._clock = Clock()
            sys.modules[box.MODULE] = types.ModuleType(box.MODULE)  # it is there from now on
            self._settings = self._read_settings()
            self._rare_settings = self._read_rare_settings()
            self._free = _lowest_free(channel)
            self._kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return self._clock

    def is_foreign(self, names: set[str]) -> bool:
        """Return whether names may reach beyond the program's own globals."""
        if not names.isdisjoint(_FOREIGN) or not names.isdisjoint(self._private):
            return True
        return "sys" in names and not names.isdisjoint(_OF_SYS)

    def is_changed(self, names: set[str]) -> bool:
        """Return whether built-ins, settings or the named modules are not as they were."""
        if vars(builtins) != self._builtins or self._read_settings() != self._settings:
            return True
        used = [self._modules[name] for name in names & self._modules.keys()]
        return any(vars(module) != saved for module, saved in used)

    def is_as_at_first(self, channel: int) -> bool:
        """Return whether this process may serve another program's variants.

        What the last ones left is collected, and random numbers begin anew.
        """
        sys.modules[box.MODULE] = types.ModuleType(box.MODULE)
        gc.collect()
        random.seed(0)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self._kib
        return (
            grown < MOST_GROWTH_KIB
            and _lowest_free(channel) == self._free
            and not self.is_changed(set(self._modules))
            and self._read_rare_settings() == self._rare_settings
        )

    def _read_settings(self) -> tuple[Any, ...]:
        return (
            sys.getrecursionlimit(), len(sys.modules), sys.gettrace(), sys.getprofile(),
            getsignal(signal.SIGPROF), getsignal(signal.SIGALRM),
        )  # fmt: skip

    def _read_rare_settings(self) -> tuple[Any, ...]:
        return (
            sys.getswitchinterval(), sys.stdin, sys.stdout, sys.stderr, list(sys.path),
            list(sys.argv), sys.displayhook, sys.excepthook, gc.isenabled(), gc.get_threshold(),
            dict(os.environ), list(warnings.filters), signal.getitimer(signal.ITIMER_REAL),
        )  # fmt: skip


def _lowest_free(channel: int) -> int:
    """Return the lowest descriptor that is not open; -1 if there is none."""
    try:
        descriptor = os.dup(channel)
    except OSError:
        return -1
    os.close(descriptor)
    return descriptor


def _is_usual(program: box.Program, answers: list[bytes], state: State, max_bytes: int) -> bool:
    """Return whether a fork of its own would have given the same answers."""
    if program.is_strange or sum(map(len, answers)) > max_bytes // 2:
        return False
    names: set[str] = set()
    if program.code is not None:
        codes = _codes(program.code)
        names.update(*(code.co_names for code in codes))
        if not names.isdisjoint(SAFE_MODULES) and any(map(_changes_attribute, codes)):
            return False  # perhaps one of the module's
    return not state.is_foreign(names) and not state.is_changed(names)


def _codes(code: types.CodeType) -> list[types.CodeType]:
    """Return a code object and all those in it."""
    found = [code]
    for outer in found:
        found += [item for item in outer.co_consts if type(item) is types.CodeType]
    return found


def _changes_attribute(code: types.CodeType) -> bool:
    return not _CHANGES_ATTRIBUTE.isdisjoint(code.co_code[::2])


STATE = State()
