"""A process that examines problems one at a time: a line of JSON in, one out.

The first line holds the settings, each later one a problem. When its standard input closes, for
instance because the campaign was killed, it ends. Run as `python -m stepnav.mutate.worker`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from stepnav.core.errors import SandboxError
from stepnav.mutate.examination import Settings, examine
from stepnav.mutate.laboratory import SandboxLaboratory
from stepnav.mutate.reference import Reference
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import MEBIBYTE, Limits

OUTPUT_BYTES = 16 * MEBIBYTE
WALL_S = 300.0
"""A backstop only: CPU clocks decide, so that a busy machine changes no verdict."""


def main() -> None:
    """Answer problems until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    first = json.loads(sys.stdin.readline())
    settings = Settings(**first["settings"])
    limits = Limits(output_bytes=OUTPUT_BYTES, wall_s=WALL_S)
    with Sandbox(first["level"], limits=limits) as sandbox:
        for line in sys.stdin:
            try:
                answer = _examine(sandbox, settings, json.loads(line))
            except SandboxError as error:
                answer = {"sandbox_error": str(error)}
            replies.write(json.dumps(answer) + "\n")
            replies.flush()


def _examine(sandbox: Sandbox, settings: Settings, request: dict[str, Any]) -> dict[str, Any]:
    reference = Reference(**request["reference"])
    laboratory = SandboxLaboratory(sandbox, reference)
    return examine(reference, laboratory, settings, number=request["number"]).to_json()


if __name__ == "__main__":
    main()
