"""Files and folders that are there whole or not at all.

A file is written beside its place, flushed to the disk and renamed; a full disk or a kill leaves
the old one as it was.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepnav.core.errors import DataError, StepnavError, one_line

PART = ".part"
"""In the name of a file that is being written."""


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    write_with(path, lambda place: place.write_bytes(content))


ADVICE = "free some space or mend the folder's permissions, then do it again"


def write_with(path: Path, write: Callable[[Path], object], *, advice: str = ADVICE) -> None:
    """Let `write` make a file, and put it in place when it is done.

    Args:
      path: where the file will be; its folder is made if it is missing.
      write: called with the path of a new file in the same folder, with the same ending.
      advice: what the message says to do.
    Raises:
      DataError: the disk is full or the folder cannot be written.
    """
    place = path.with_name(f".{path.stem}.{os.getpid()}{PART}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(place)
        with place.open("rb") as file:
            os.fsync(file.fileno())
        place.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; {advice}") from error
    finally:
        with suppress(OSError):
            place.unlink(missing_ok=True)


def is_empty(folder: Path) -> bool:
    """Return whether a folder holds nothing but what a killed process was writing."""
    return all(PART in path.suffixes for path in folder.iterdir())


@contextmanager
def whole_folder(folder: Path, *, advice: str = ADVICE) -> Iterator[Path]:
    """Give a new, empty folder to write to, and put it in the place of `folder` when it is filled.

    What a killed run left of an earlier attempt is thrown away, and so is an older folder of the
    same name once the new one is there.

    Raises:
      DataError: it cannot be written; `folder` is as it was.
    """
    target = folder.resolve()  # a link stays one
    partial, old = (target.with_name(target.name + ending) for ending in (".partial", ".old"))
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
            target.replace(old)
        try:
            partial.replace(target)
        except OSError:
            if old.exists():
                old.replace(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except StepnavError:
        raise
    except Exception as error:  # libraries that save models have kinds of their own
        raise DataError(f"cannot write {folder} ({one_line(error)}); {advice}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
