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
    place = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
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


@contextmanager
def whole_folder(folder: Path, *, advice: str = ADVICE) -> Iterator[Path]:
    """Give a new, empty folder to write to, and put it in the place of `folder` when it is filled.

    What a killed run left of an earlier attempt is thrown away, and so is an older folder of the same name.

    Raises:
      DataError: it cannot be written; `folder` is as it was.
    """
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except StepnavError:
        raise
    except Exception as error:  # libraries that save models have kinds of their own
        raise DataError(f"cannot write {folder} ({one_line(error)}); {advice}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
