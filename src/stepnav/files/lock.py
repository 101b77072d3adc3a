"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from stepnav.core.errors import ConfigError

LOCK_NAME = "lock"


@contextmanager
def locked(folder: Path, name: str = LOCK_NAME) -> Iterator[None]:
    """Keep other processes out of a folder; the claim ends with the process, however that ends.

    Two that wrote one journal would ask the models everything twice. Where the system has no
    `flock` (Windows), nothing keeps them out.

    Args:
      folder: it must be there.
      name: file in it that is locked; made if it is missing.

    Raises:
      ConfigError: another process is at work in it.
    """
    with (folder / name).open("a") as file:
        lock_file(file, f"in {folder}", "name another folder")
        try:
            yield
        finally:
            _unlock(file)


def lock_file(file: IO[Any], place: str, advice: str) -> None:
    """Keep other processes from an open file until it is closed; see `locked`.

    Args:
      place: what is in use, for the message: "in FOLDER", "on FILE".
      advice: what else the message says to do than to wait for the other or end it.

    Raises:
      ConfigError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"another process is at work {place}; wait for it, end it, or {advice}"
        ) from None


def _unlock(file: IO[Any]) -> None:
    """Give a lock back: to close the file is not enough where a fork holds it too."""
    with suppress(ImportError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)
