"""The processes of a campaign: each is a `worker`, given one problem after another.

Workers are separate programs that talk over pipes, not forks: this process may hold threads or
models, and a worker whose campaign was killed sees the end of its pipe and ends.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from stepnav.core.errors import SandboxError
from stepnav.mutate.examination import Settings
from stepnav.mutate.findings import ProblemReport
from stepnav.mutate.reference import Reference

DISMISS_S = 5.0
"""A process that has not ended by itself after this long is killed."""

Requests = queue.SimpleQueue[tuple[int, Reference] | None]
Replies = queue.SimpleQueue[dict[str, Any]]


def examine_all(
    problems: Sequence[tuple[int, Reference]], settings: Settings, level: str, workers: int
) -> Iterator[ProblemReport]:
    """Yield the reports of problems as they come.

    Args:
      problems: number and reference of each.
      settings: what is made of each.
      level: sandbox level.
      workers: how many processes, each with a sandbox of its own.
    Raises:
      SandboxError: the sandbox cannot be used, or a process died.
    """
    requests: Requests = queue.SimpleQueue()
    replies: Replies = queue.SimpleQueue()
    for problem in problems:
        requests.put(problem)
    processes = [_start(settings, level) for _ in range(min(workers, len(problems)))]
    threads = []
    for process in processes:
        requests.put(None)
        arguments = (process, requests, replies)
        threads.append(threading.Thread(target=_feed, args=arguments, daemon=True))
        threads[-1].start()
    try:
        for _ in problems:
            reply = replies.get()
            if "sandbox_error" in reply:
                raise SandboxError(reply["sandbox_error"])
            yield ProblemReport.from_json(reply)
        for process in processes:
            _dismiss(process)
    finally:
        for process, thread in zip(processes, threads):
            _end(process, thread)


def _start(settings: Settings, level: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "stepnav.mutate.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONHASHSEED": "0"},  # inputs that are sets keep their order
    )
    _send(process, {"settings": asdict(settings), "level": level})
    return process


def _feed(process: subprocess.Popen[str], requests: Requests, replies: Replies) -> None:
    """Give one process problems until there are none left."""
    assert process.stdout is not None, "a pipe"
    while (item := requests.get()) is not None:
        number, reference = item
        try:
            _send(process, {"number": number, "reference": asdict(reference)})
            line = process.stdout.readline()
        except (OSError, ValueError):  # ValueError: the pipe was closed at the campaign's end
            line = ""
        if not line:
            what = f"the process that examined {reference.task_id} ended (exit {process.poll()})"
            replies.put({"sandbox_error": f"{what}; start the same command again to go on"})
            return
        replies.put(json.loads(line))


def _send(process: subprocess.Popen[str], value: dict[str, Any]) -> None:
    assert process.stdin is not None, "a pipe"
    process.stdin.write(json.dumps(value) + "\n")
    process.stdin.flush()


def _dismiss(process: subprocess.Popen[str]) -> None:
    """Let a process without work end by itself, so that its sandbox is closed in order."""
    assert process.stdin is not None, "a pipe"
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(DISMISS_S)


def _end(process: subprocess.Popen[str], thread: threading.Thread) -> None:
    """End a process, and then the thread that feeds it."""
    process.kill()
    process.wait()
    thread.join()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
