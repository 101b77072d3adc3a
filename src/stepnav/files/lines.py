"""Journals of JSON lines: appended to while a run goes on, and gone on with after a kill.

A kill can cut the last line short, and nothing else: a line without an end is left out when the
file is read, and taken off when it is opened to go on. Only a power cut can lose whole lines, the
newest ones.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from stepnav.core.errors import DataError
from stepnav.files.claim import first_difference, sealed, unsealed
from stepnav.files.lock import lock_file

Own = TypeVar("Own", bound="LineFile")

BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading values out of a line of something else may raise."""


class LineFile(ABC):
    """A journal, created if it is not there; a context manager.

    Args:
      path: the file; its folder is made if it is missing.
      noun: what a line is, for messages: "a verdict".
      elsewhere: what to do where the file is taken: "name another folder".
      settings: what the lines depend on, as JSON values; they stand, sealed, in the first line.
        None writes no such line.

    Raises:
      ConfigError: another process is at work on it.
      DataError: it cannot be used, holds something else, or belongs to other settings.
    """

    def __init__(
        self, path: Path, *, noun: str, elsewhere: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.path = path
        self._settings = settings
        self._advice = f"{elsewhere}, or delete it to start again"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror or error}") from None
        try:
            lock_file(self._file, f"on {path}", elsewhere)
            end = read_lines(path, self._take, noun=noun, advice=self._advice)
            self._file.truncate(end)
            self._has_settings = end > 0 or settings is None
        except BaseException:
            self._file.close()
            raise

    @abstractmethod
    def take(self, row: Any) -> None:
        """Keep what a line holds; it raises one of `BROKEN` if that is of something else."""

    def begin(self) -> None:
        """Write the settings, if they are not there; the first `append` does it too."""
        if not self._has_settings:
            self._has_settings = True
            self._write(sealed(self._settings or {}))

    def append(self, value: Mapping[str, Any]) -> None:
        """Write one line; when it returns, no kill can lose it.

        Raises:
          DataError: the disk is full.
        """
        self.begin()
        self._write(value)

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            try:
                os.fsync(self._file.fileno())
            finally:
                self._file.close()  # tries again to write what a full disk did not take
        except OSError:
            if error[0] is None:
                raise

    def _write(self, value: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(value).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise DataError(
                f"cannot write {self.path}: {error.strerror or error}; free some space and start "
                "the command again with --resume: it goes on where it was"
            ) from None

    def _take(self, number: int, row: Any) -> None:
        if number > 1 or self._settings is None:
            self.take(row)
        elif difference := first_difference(unsealed(row, self.path), self._settings):
            raise DataError(
                f"{self.path} was made with other settings ({difference}); use the same, "
                f"{self._advice}"
            )


def read_lines(path: Path, take: Callable[[int, Any], None], *, noun: str, advice: str) -> int:
    """Hand over what each whole line holds, with its number from 1; return where they end.

    Args:
      path: the file.
      take: is given the lines.
      noun, advice: what a line is, and what else to do, for messages.

    Raises:
      DataError: the file cannot be read, or a line holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    end = content.rfind(b"\n") + 1
    for number, line in enumerate(content[:end].split(b"\n")[:-1], 1):
        try:
            take(number, json.loads(line))
        except BROKEN as error:
            raise DataError(
                f"{path}, line {number}: not {noun} ({error!r:.200}); {advice}"
            ) from None
    return end
