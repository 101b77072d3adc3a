"""The version of what is written: a file of a later one is refused, not read half.

One number for all files of settings, those beside a model's weights and those that say what a
folder was made with. Files without it were written before there was one, and are of version 1.
`run.toml` (`measure/plan_file.py`) and journals (`run/journal.py`) have theirs in their own form.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.core.errors import DataError

FORMAT = 1
KEY = "format_version"


def stamped(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the version of the form that they are written in."""
    return {KEY: FORMAT, **settings}


def unstamped(found: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """Return settings without the version.

    Args:
      found: what `stamped` returned, as read back.
      place: where it was read, for the message.

    Raises:
      DataError: they are of another version than is known here.
    """
    if (version := found.get(KEY, 1)) != FORMAT:
        raise DataError(
            f"{place} is in format {version}, and this stepnav reads format {FORMAT}; use the "
            "version that wrote it"
        )
    return {name: value for name, value in found.items() if name != KEY}
