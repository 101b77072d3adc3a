"""Checkpoints of a training: which one is whole, and the latest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

STATE = "trainer_state.json"
"""Written last: a checkpoint that has it is whole."""


def last_checkpoint(folder: Path, *, clean: bool = True) -> Path | None:
    """Return the latest whole checkpoint; its state file is written last.

    Args:
      folder: of the checkpoints.
      clean: whether to remove what a killed run left unfinished.
    """
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        try:
            json.loads((path / STATE).read_text())
            found.append((step_of(path), path))
        except (OSError, ValueError):
            if clean:
                shutil.rmtree(path, ignore_errors=True)
    return max(found)[1] if found else None


def step_of(checkpoint: Path) -> int:
    """Return the optimizer step after which a checkpoint was saved."""
    return int(checkpoint.name.rpartition("-")[2])
