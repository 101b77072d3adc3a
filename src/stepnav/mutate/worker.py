"""A process that examines problems one at a time: a line of JSON in, one out.

The first line holds the settings, each later one a problem. When its standard input closes it ends:
at once in the middle of a problem, because then the campaign was killed. Signals to the whole group
(Ctrl-C, a terminal that is closed) are the campaign's to answer. Run as `python -m
stepnav.mutate.worker`.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from stepnav.core.errors import SandboxError
from stepnav.mutate.examination import Settings, examine, unusable
from stepnav.mutate.laboratory import SandboxLaboratory
from stepnav.mutate.reference import Reference
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import MEBIBYTE, Limits

OUTPUT_BYTES = 16 * MEBIBYTE
WALL_S = 300.0
"""A backstop only: CPU clocks decide, so that a busy machine changes no verdict."""

GRACE_S = 1.0
"""The last answer may have been sent a moment before this process counts as idle."""


def main() -> None:
    """Answer problems until standard input closes."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no hang-up
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    first = json.loads(sys.stdin.readline())
    settings = Settings(**first["settings"])
    limits = Limits(output_bytes=OUTPUT_BYTES, wall_s=WALL_S)
    with Sandbox(first["level"], limits=limits) as sandbox:
        for line in _lines():
            try:
                answer = _examine(sandbox, settings, json.loads(line))
            except SandboxError as error:
                answer = {"sandbox_error": str(error)}
            replies.write(json.dumps(answer) + "\n")
            replies.flush()


def _lines() -> Iterator[str]:
    """Yield the lines of standard input; ends the process if it closes while one is worked on."""
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    is_idle = threading.Event()

    def read() -> None:
        for line in sys.stdin:
            is_idle.clear()
            waiting.put(line)
        if not is_idle.wait(GRACE_S):
            os._exit(1)
        waiting.put(None)

    is_idle.set()
    threading.Thread(target=read, daemon=True).start()
    while (line := waiting.get()) is not None:
        yield line
        is_idle.set()


def _examine(sandbox: Sandbox, settings: Settings, request: dict[str, Any]) -> dict[str, Any]:
    number, reference = request["number"], Reference(**request["reference"])
    laboratory = SandboxLaboratory(sandbox, reference)
    try:
        return examine(reference, laboratory, settings, number=number).to_json()
    except SandboxError:
        raise
    except BaseException as error:  # no program may end the campaign for all; Ctrl-C is ignored
        reason = f"it could not be examined ({type(error).__name__}: {error})"
        return unusable(reference, number, reason).to_json()


if __name__ == "__main__":
    main()
