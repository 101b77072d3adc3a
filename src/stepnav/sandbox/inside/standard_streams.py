"""Runs a program on one input, in the box; its text is sent there as a job's source.

The program finds its input wherever programs read it: `sys.stdin`, `input`, `open(0)`, `os.read`.
It runs as `__main__`, and may end by `exit()`. A thread is run where it is started, since the box
has none: programs start one to get a larger stack.
"""

import atexit
import builtins
import contextlib
import io
import os
import sys
import types
from typing import Any


class _Held(io.BytesIO):
    """Bytes that stay when the program closes its stream."""

    def close(self) -> None:
        pass


def run(source: str, text: str) -> str:
    """Return what a program prints on an input; raises what it raises."""
    given, printed = _Held(text.encode()), _Held()
    stdin = io.TextIOWrapper(given, "utf-8")
    stdout = io.TextIOWrapper(printed, "utf-8", newline="\n", write_through=True)
    stdin.mode, stdout.mode = "r", "w"  # type: ignore[misc]
    sys.stdin = sys.__stdin__ = stdin  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = stdout  # type: ignore[misc]
    sys.argv = ["program"]
    atexit._clear()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    _redirect({0: stdin, 1: stdout, "/dev/stdin": stdin, "/dev/stdout": stdout}, given, printed)
    if "threading" in source:
        import threading

        threading.Thread.start = threading.Thread.run  # type: ignore[method-assign]
        threading.Thread.join = lambda *_, **__: None  # type: ignore[method-assign]
    with contextlib.suppress(SystemExit):
        exec(compile(source, "<program>", "exec", dont_inherit=True), module.__dict__)
    atexit._run_exitfuncs()
    with contextlib.suppress(Exception):  # the program's own stream, as at an interpreter's end
        sys.stdout.flush()
    stdout.flush()
    return printed.getvalue().decode("utf-8", "replace")


def _redirect(streams: dict[int | str, io.TextIOWrapper], given: _Held, printed: _Held) -> None:
    """Let the descriptors 0 and 1, and the devices of these streams, mean the streams."""
    open_, read, write = builtins.open, os.read, os.write

    def opened(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        stream = streams.get(file) if type(file) in (int, str) else None
        if stream is None:
            return open_(file, mode, *args, **options)
        return stream.buffer if "b" in mode else stream

    builtins.open = opened
    given.fileno, printed.fileno = lambda: 0, lambda: 1  # type: ignore[method-assign]
    os.read = lambda fd, n: given.read(n) if fd == 0 else read(fd, n)
    os.write = lambda fd, data: printed.write(data) if fd == 1 else write(fd, data)
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]
