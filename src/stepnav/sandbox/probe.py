"""Opening a sandbox that was tried first: each layer by a program that must not succeed.

What the kernel says it has is not believed; a throw-away program at the chosen level reads a secret
file, writes one, makes a socket, forks, starts a program and sends a signal, and every attempt has
to fail. A level with a hole is refused; there is no silent fall-back to a weaker one.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import get_args

from stepnav.core.errors import ConfigError, SandboxError, nearest
from stepnav.sandbox.layers.advice import hole_message
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Call, Job, Level, Limits

LEVELS: tuple[Level, ...] = get_args(Level)

PROBE = """
import errno
def attempt(function):
    try:
        function()
    except OSError as error:
        return error.errno or errno.EPERM
    except (MemoryError, RuntimeError):
        return errno.ENOMEM
    return 0
def read(path):
    return attempt(lambda: open(path).read())
def write(path):
    return attempt(lambda: open(path, "w").write("x"))
def connect():
    import socket
    return attempt(socket.socket)
def fork():
    import os
    def split():
        if os.fork() == 0:
            os._exit(0)
    return attempt(split)
def start(path):
    import os
    return attempt(lambda: os.execv(path, [path, "-c", ""]))
def signal(pid):
    import os
    return attempt(lambda: os.kill(pid, 0))
def allocate(size):
    return attempt(lambda: bytearray(size))
"""

LAYER_OF = {
    "read": "landlock", "write": "landlock", "connect": "seccomp", "fork": "seccomp",
    "start": "seccomp", "signal": "seccomp", "allocate": "limits",
}  # fmt: skip
"""Attempt -> the layer that has to refuse it."""


def open_sandbox(
    level: str = "process",
    *,
    limits: Limits | None = None,
    workers: int = 1,
    image: str = "",
) -> Sandbox:
    """Return a started sandbox whose layers were tried; close it, or use it as a context manager.

    Args:
      level: one of `LEVELS`. "unsafe" runs programs with no protection at all and is never chosen
        for you.
      limits, workers, image: as in `Sandbox`.

    Raises:
      ConfigError: there is no such level, or it does not exist on this system.
      SandboxError: a layer is missing; the text names it, the errno and the fix.
    """
    checked = check_level(level)
    if level in ("process", "namespace") and not sys.platform.startswith("linux"):
        raise ConfigError(
            f"sandbox level {level!r} needs Linux (this is {sys.platform}); use --sandbox docker, "
            "or --sandbox unsafe if you trust the programs"
        )
    sandbox = Sandbox(checked, limits=limits, workers=workers, image=image)
    try:
        probe(sandbox)
        sandbox.start()
    except BaseException:
        sandbox.close()
        raise
    return sandbox


def check_level(level: str) -> Level:
    """Return a sandbox level.

    Raises:
      ConfigError: there is no such level.
    """
    for known in LEVELS:
        if known == level:
            return known
    raise ConfigError(
        f"no sandbox level is called {level!r}{nearest(level, list(LEVELS))}; "
        f"there are: {', '.join(LEVELS)}"
    )


def probe(sandbox: Sandbox) -> dict[str, int]:
    """Return the errno with which each forbidden attempt failed; nothing is tried at "unsafe".

    Raises:
      SandboxError: an attempt succeeded, or the probe itself could not run.
    """
    if sandbox.level == "unsafe":
        return {}
    with tempfile.TemporaryDirectory(prefix="stepnav-probe-", dir=_outside_scratch()) as name:
        secret = Path(name, "secret")
        secret.write_text("secret", encoding="utf-8")
        Path(name).chmod(0o755)
        too_much = 4 * sandbox.limits.memory_bytes + 2**30
        calls = (
            Call("read", (str(secret),)), Call("write", (str(secret.with_name("new")),)),
            Call("connect"), Call("fork"), Call("start", (sys.executable,)), Call("signal", (1,)),
            Call("allocate", (too_much,)),
        )  # fmt: skip
        result = sandbox.run(Job(PROBE, calls))
    found = {}
    for call, outcome in zip(calls, result.calls):
        attempt = str(call.name)
        if outcome.status == "memory":
            found[attempt] = 12
        elif outcome.status != "value":
            raise SandboxError(
                f"the sandbox could not be tried at level {sandbox.level!r}: {attempt}: "
                f"{outcome.status} {outcome.message}"
            )
        elif outcome.value == 0:
            raise SandboxError(hole_message(sandbox.level, attempt, LAYER_OF[attempt]))
        else:
            found[attempt] = outcome.value
    return found


def _outside_scratch() -> str | None:
    """Return a folder for the secret that level "namespace" does not cover by its own /tmp."""
    folder = Path("/var/tmp")
    return str(folder) if folder.is_dir() and os.access(folder, os.W_OK) else None
