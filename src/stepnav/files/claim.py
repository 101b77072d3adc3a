"""A folder, or a journal, belongs to one set of settings: going on under others would mix two runs.

What says which they are carries its own digest: settings that were edited afterwards would title
old results with what was never run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError
from stepnav.files.atomic import is_empty, write_text
from stepnav.files.versioned import stamped, unstamped

SEAL = "digest"
"""Setting that holds the digest of all others."""


def sealed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings, which are JSON values, with their version and their digest."""
    versioned = stamped(settings)
    return {**versioned, SEAL: _digest(versioned)}


def unsealed(found: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """Return settings without version and digest; those that never had one are taken as they are.

    Args:
      found: what `sealed` returned, as read back.
      place: where it was read, for the message.

    Raises:
      DataError: they were edited, or are of another version.
    """
    settings = unstamped(found, place)
    settings.pop(SEAL, None)
    versioned = {key: value for key, value in found.items() if key != SEAL}
    if found.get(SEAL, digest := _digest(versioned)) != digest:
        raise DataError(
            f"the settings in {place} were edited after the run (digest {found[SEAL]}, now "
            f"{digest}); put back what was there, or start again in another folder"
        )
    return settings


def _digest(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def claim_folder(path: Path, settings: Mapping[str, Any], *, noun: str, resume: bool) -> None:
    """Make a folder for a run with these settings, or check that it is one.

    Args:
      path: file in the folder that says what it is for.
      settings: what the results depend on, as JSON values.
      noun: what is done there, for messages: "training".
      resume: whether the folder may hold such a run.

    Raises:
      ConfigError: the folder is a file, or holds something else.
      DataError: it cannot be made, or the file in it is broken or was edited.
    """
    if not check_claim(path, settings, noun=noun, resume=resume):
        write_text(path, json.dumps(sealed(settings), indent=2) + "\n")


def check_claim(path: Path, settings: Mapping[str, Any], *, noun: str, resume: bool) -> bool:
    """Return whether the folder is claimed for these settings; False if it is free.

    Raises:
      ConfigError, DataError: as `claim_folder` does for a folder that is claimed otherwise.
    """
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
    found = unsealed(found, path)
    if difference := first_difference(found, settings):
        raise ConfigError(
            f"{folder} holds a {noun} with other settings ({difference}); use the same, or name "
            "another folder"
        )
    return True


def first_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return the first setting that differs, with both values; None if there is none."""
    for key in {**wanted, **found}:
        if found.get(key) != wanted.get(key):
            return f"{key}: {found.get(key)}, now {wanted.get(key)}"
    return None
