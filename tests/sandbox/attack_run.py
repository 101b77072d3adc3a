"""Runs the attack table once and prints what came of it as JSON; needs the standard library only.

    python -m tests.sandbox.attack_run LEVEL

It makes its own victims: a secret file, a folder that anyone may write to, a listening port and a
process of the same user.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepnav.sandbox import Limits, Sandbox, Suite, judge_problem, open_sandbox, records
from tests.sandbox.attacks import ENTRY_POINT, PROGRAMS, REFERENCE, Attack, filled

LIMITS = Limits(cpu_s=0.25, wall_s=3.0, memory_bytes=400 * 2**20)


@contextlib.contextmanager
def victims() -> Iterator[dict[str, Any]]:
    """Give the placeholders' values, with everything they name alive."""
    os.environ["STEPNAV_CANARY"] = "visible"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        folder.chmod(0o777)
        (folder / "victim").write_text("victim")
        (folder / "home").mkdir()
        (folder / "home" / "secret").write_text("secret")
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(0.5)
        sleeper = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        stack.callback(sleeper.wait)
        stack.callback(sleeper.kill)
        yield {
            "secret": str(folder / "home" / "secret"), "folder": str(folder),
            "port": listener.getsockname()[1], "pid": sleeper.pid, "package": records.__file__,
        }  # fmt: skip


def problem(attack: Attack) -> Suite:
    """Return what a program is judged by."""
    return Suite(attack.test, ENTRY_POINT, "humaneval", REFERENCE)


def outcome(sandbox: Sandbox, attack: Attack, places: dict[str, Any]) -> dict[str, Any]:
    """Return the verdict on one program, and what changed outside the box."""
    verdict = judge_problem(sandbox, problem(attack), filled(attack.source, **places))
    folder = Path(places["folder"])
    made = sorted(item.name for item in folder.iterdir() if item.name not in ("victim", "home"))
    untouched = (folder / "victim").exists() and (folder / "victim").read_text() == "victim"
    return {
        "name": attack.name, "status": verdict.status, "detail": verdict.detail,
        "level": verdict.level, "made": made, "untouched": untouched,
        "threads": threading.active_count(),
    }  # fmt: skip


def main(level: str) -> None:
    """Print one line of JSON per program."""
    with victims() as places, open_sandbox(level, limits=LIMITS) as sandbox:
        for attack in PROGRAMS:
            print(json.dumps(outcome(sandbox, attack, places)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
