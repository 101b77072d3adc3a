"""One process at a time in a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepnav.core.errors import ConfigError

LOCK_NAME = "lock"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder; the claim ends with the process, however that ends.

    Two that wrote one journal would ask the models everything twice. Where the system has no
    `flock` (Windows), nothing keeps them out.

    Raises:
      ConfigError: another process is at work in it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / LOCK_NAME).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another process is at work in {folder}; wait for it, end it, or name another folder"
            ) from None
        yield
