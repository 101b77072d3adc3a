"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / name).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another process is at work in {folder}; wait for it, end it, or name another folder"
            ) from None
        yield
