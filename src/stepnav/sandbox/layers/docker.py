"""Level "docker": the warm parent inside a container without network, writable disk or privileges.

This module only makes the argument list. The container runs the same warm parent as the other
levels and speaks the same protocol over its standard input and output.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stepnav.sandbox.records import Limits

DEFAULT_IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
MAX_PROCESSES = 64
PARENT_BYTES = 128 * 2**20
"""Memory of the warm parent itself, on top of two children's."""


def docker_command(
    image: str, package: Path, limits: Limits, boot: str, *, engine: str = "docker"
) -> list[str]:
    """Return the command that runs a warm parent in a container.

    Args:
      image: an image with `python3` of this minor version; an empty text for `DEFAULT_IMAGE`.
      package: the folder of the installed `stepnav`, mounted read-only.
      limits: memory and scratch size follow from them.
      boot: Python text that starts the warm parent.
      engine: "docker", "podman" or a path.
    """
    memory = PARENT_BYTES + 2 * limits.memory_bytes + limits.scratch_bytes
    return [
        engine, "run", "--rm", "--interactive", "--init",
        "--network", "none", "--ipc", "none",
        "--read-only", "--tmpfs", f"/tmp:rw,noexec,nosuid,nodev,size={limits.scratch_bytes}",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65534:65534",
        "--pids-limit", str(MAX_PROCESSES), "--memory", str(memory), "--memory-swap", str(memory),
        "--cpus", "1", "--ulimit", "core=0", "--log-driver", "none", "--pull", "missing",
        "--env", "PYTHONHASHSEED=0", "--env", "PYTHONUTF8=1", "--workdir", "/",
        "--mount", f"type=bind,source={package},target=/box/stepnav,readonly",
        "--entrypoint", "python3", image or DEFAULT_IMAGE,
        "-S", "-s", "-B", "-c", boot, "/box/stepnav",
    ]  # fmt: skip
