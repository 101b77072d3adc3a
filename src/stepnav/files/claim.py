"""A folder, or a journal, belongs to one set of settings: going on under others would mix two runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError
from stepnav.files.atomic import is_empty, write_text


def claim_folder(path: Path, settings: Mapping[str, Any], *, noun: str, resume: bool) -> None:
    """Make a folder for a run with these settings, or check that it is one.

    Args:
      path: file in the folder that says what it is for.
      settings: what the results depend on, as JSON values.
      noun: what is done there, for messages: "training".
      resume: whether the folder may hold such a run.

    Raises:
      ConfigError: the folder is a file, or holds something else.
      DataError: it cannot be made, or the file in it is broken.
    """
    if not check_claim(path, settings, noun=noun, resume=resume):
        write_text(path, json.dumps(settings, indent=2) + "\n")


def check_claim(path: Path, settings: Mapping[str, Any], *, noun: str, resume: bool) -> bool:
    """Return whether the folder is claimed for these settings, False if it is free; else as `claim_folder`."""
    folder = path.parent
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a folder")
    if is_empty(folder):
        return False
    if not resume:
        raise ConfigError(f"{folder} is not empty; continue with --resume or name another folder")
    if not path.exists():
        raise ConfigError(f"{folder} holds no {noun} ({path.name} is missing); name another folder")
    try:
        found = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is broken ({error}); name another folder") from None
    if difference := first_difference(found, settings):
        raise ConfigError(
            f"{folder} holds a {noun} with other settings ({difference}); use the same, or name another folder"
        )
    return True


def first_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return the first setting that differs, with both values; None if there is none."""
    for key in {**wanted, **found}:
        if found.get(key) != wanted.get(key):
            return f"{key}: {found.get(key)}, now {wanted.get(key)}"
    return None
