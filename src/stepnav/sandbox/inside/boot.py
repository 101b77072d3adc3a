"""The start of a warm parent: import what candidates import, confine itself, say so, serve."""

from __future__ import annotations

import gc
import importlib
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

from stepnav.sandbox.codec import decode, encode
from stepnav.sandbox.inside import box
from stepnav.sandbox.inside.batch_state import State
from stepnav.sandbox.inside.server import Server
from stepnav.sandbox.layers import confine
from stepnav.sandbox.pipes import Pipes

WARM_MODULES = (
    "abc", "array", "base64", "bisect", "calendar", "cmath", "collections", "collections.abc",
    "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools",
    "hashlib", "heapq", "inspect", "itertools", "json", "math", "numbers", "operator", "random",
    "re", "statistics", "string", "textwrap", "time", "types", "typing", "unicodedata", "uuid",
)  # fmt: skip
"""Imported once here, so that no candidate pays for them."""


def main(register_at_fork: Callable[..., None]) -> None:
    """Boot, confine, report, serve.

    Args:
      register_at_fork: what `os.register_at_fork` was; programs find it there again.
    """
    pipes = Pipes(*_take_descriptors())
    caller = _open_caller()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # its session has no terminal that could send one
    while (message := pipes.take()) is None:
        pipes.exchange(None, {})
    settings: dict[str, Any] = decode(message[1])
    for name in WARM_MODULES:
        importlib.import_module(name)
    os.register_at_fork = register_at_fork
    random.seed(0)  # every program begins with the same random numbers
    state = State()
    _warm_up()
    try:
        confine.confine_parent(settings["level"], settings["limits"], sys.argv[1])
        gc.collect()
        gc.disable()
        gc.freeze()
        server = Server(settings["level"], pipes, caller, state)
    except confine.LayerError as error:
        _refuse(pipes, error)
        return
    server.send(b"R", b"")
    server.loop()


def _take_descriptors() -> tuple[int, int]:
    """Move the pipes away from 0 and 1, and put nothing there."""
    source, sink = os.dup(0), os.dup(1)
    confine.put_nothing_on(0, 1, 2)
    os.closerange(max(source, sink) + 1, 4096)
    os.umask(0o077)
    return source, sink


def _warm_up() -> None:
    """Fill the caches of the first use: encodings, locale, hash tables, regular expressions."""
    encode(decode(encode([1, "x", 2.0, {"a": (None, True)}, {1}, b"y"])))
    program = box.Program(max_depth=50, max_bytes=2**20)
    program.load("import re\ndef f(x):\n    return re.sub('a', 'b', x)\n")
    program.answer(box.Asked(encode(("c", "f", encode((("abc",), {}))))))
    del sys.modules[box.MODULE]
    "x".encode("ascii").decode("latin-1")


def _open_caller() -> int:
    """Return a descriptor that is ready to be read when the trusted parent has ended."""
    try:
        return os.pidfd_open(os.getppid())
    except (OSError, AttributeError):  # an old kernel, a container; its end of the pipes remains
        return -1


def _refuse(pipes: Pipes, error: confine.LayerError) -> None:
    number, text = error.cause.errno or 0, str(error.cause.strerror)
    pipes.put(b"X", encode((error.layer, number, text)))
