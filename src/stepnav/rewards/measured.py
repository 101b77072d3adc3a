"""Options of strategies that were measured with a reward model, kept beside its weights.

`stepnav calibrate --run` writes them; whoever searches with the model uses them unless the user
says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.core.errors import DataError
from stepnav.files.atomic import write_text
from stepnav.files.versioned import stamped, unstamped

FILE_NAME = "stepnav_strategies.json"


def read_measured(folder: Path) -> dict[str, dict[str, Any]]:
    """Return options by strategy, {} where none were measured.

    Raises:
      DataError: the file is broken, or of another version.
    """
    return {name: dict(row["options"]) for name, row in read_rows(folder).items()}


def read_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Return all that is kept of each strategy, as of `write_measured`.

    Raises:
      DataError: as of `read_measured`.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    try:
        found = unstamped(json.loads(path.read_text()), path)
        return {name: {**row, "options": dict(row["options"])} for name, row in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is broken ({error}); delete it, or measure again") from None


def write_measured(folder: Path, strategy: str, row: Mapping[str, Any]) -> None:
    """Keep what was measured of one strategy, beside that of others.

    Args:
      folder: the reward model's.
      strategy: its name.
      row: `options`, and what they were measured on.
    """
    path = folder / FILE_NAME
    found = unstamped(json.loads(path.read_text()), path) if path.exists() else {}
    write_text(path, json.dumps(stamped({**found, strategy: dict(row)}), indent=1) + "\n")
