"""Files and folders that are there whole or not at all.

A file is written beside its place, flushed to the disk and renamed; a full disk or a kill leaves
the old one as it was. Only a regular file is ever replaced: a device, a pipe or a folder is
refused, and a link stays one and its target is replaced.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepnav.core.errors import ConfigError, DataError, StepnavError, one_line

PART = ".part"
"""In the name of a file that is being written."""

STDOUT = Path("-")
"""Written to, it is standard output."""


def check_output(path: Path, *inputs: Path | None) -> None:
    """Refuse a place that no file can be put in, before there is anything to put there.

    Args:
      path: where a file is to be written.
      inputs: files that are read and so must not be replaced; None and missing ones are passed
        over.

    Raises:
      ConfigError: it is a folder, a device or a pipe, or one of the inputs.
    """
    if path == STDOUT or not path.exists():
        return
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise ConfigError(
            f"{path} is {kind} and is not replaced; name a file, or - for standard output"
        )
    for source in inputs:
        if source is not None and source.exists() and path.samefile(source):
            raise ConfigError(
                f"{path} is read and would be written over; name another file to write"
            )


def write_text(path: Path, text: str) -> None:
    """Write text, `escaped`, as UTF-8, whole or not at all."""
    write_bytes(path, escaped(text).encode())


def escaped(text: str) -> str:
    """Return text with those bytes of files' names that are no UTF-8 as escapes."""
    return text.encode(errors="backslashreplace").decode()


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    write_with(path, lambda place: place.write_bytes(content))


ADVICE = "free some space or mend the folder's permissions, then do it again"


def write_with(path: Path, write: Callable[[Path], object], *, advice: str = ADVICE) -> None:
    """Let `write` make a file, and put it in place when it is done.

    Args:
      path: where the file will be, or `STDOUT`; its folder is made if it is missing.
      write: called with the path of a new file with the same ending.
      advice: what the message says to do.
    Raises:
      ConfigError: the path is a folder, a device or a pipe.
      DataError: the disk is full or the folder cannot be written.
    """
    if path == STDOUT:
        _print(write)
        return
    try:
        check_output(path)
        target = path.resolve()  # a link stays one
        if target.is_symlink():  # of a circle, which Python 3.13 resolves to one of its links
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        place = target.with_name(f".{target.stem}.{os.getpid()}{PART}{target.suffix}")
    except (OSError, RuntimeError) as error:  # the latter for such a circle, before 3.13
        raise DataError(f"cannot write {path}: {one_line(error)}; {advice}") from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(place)
        with place.open("rb") as file:
            os.fsync(file.fileno())
        place.replace(target)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; {advice}") from error
    finally:
        with suppress(OSError):
            place.unlink(missing_ok=True)


def _print(write: Callable[[Path], object]) -> None:
    """Let `write` make a file, and copy it to standard output."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "output"
        write(place)
        sys.stdout.flush()
        with place.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()


def is_empty(folder: Path) -> bool:
    """Return whether a folder holds nothing but what a killed process was writing."""
    return all(PART in path.suffixes for path in folder.iterdir())


@contextmanager
def whole_folder(folder: Path, *, advice: str = ADVICE) -> Iterator[Path]:
    """Give a new, empty folder to write to, and put it in the place of `folder` when it is filled.

    What a killed run left of an earlier attempt is thrown away, and so is an older folder of the
    same name once the new one is there.

    Raises:
      ConfigError: there is something else than a folder.
      DataError: it cannot be written; `folder` is as it was.
    """
    target = folder.resolve()  # a link stays one
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{folder} is not a folder and is not replaced; name another one")
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
