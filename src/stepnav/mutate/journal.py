"""The journal of a campaign: one JSON line per problem, appended as soon as it is done.

The first line says what campaign it is; a journal of another one is refused. A kill can cut the
last line short: such a line is taken off when the journal is opened again, and its problem is done
again. One shard of a campaign is one such file, so `merge` needs nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.core.errors import JournalError
from stepnav.files.claim import first_difference, sealed, unsealed
from stepnav.files.lock import lock_file
from stepnav.mutate.findings import ProblemReport

FORMAT = 1


class Journal:
    """A shard's journal, created if it is not there; a context manager.

    Args:
      path: the file; its folder is made if it is missing.
      campaign: what the campaign is; JSON values.

    Raises:
      ConfigError: another process is at work on it.
      JournalError: it cannot be opened, is not a journal, or belongs to another campaign.
    """

    def __init__(self, path: Path, campaign: Mapping[str, Any]) -> None:
        self.path = path
        header = {"format": FORMAT, **campaign}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
        except OSError as error:
            raise JournalError(f"cannot open the journal {path} ({error})") from None
        try:
            lock_file(self._file, f"on {path}", "name another folder")
            self._begin(header)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, header: Mapping[str, Any]) -> None:
        """Read what is there, or write the first line."""
        self._reports: list[ProblemReport] = []
        if _trim(self.path):
            found, self._reports = read_journal(self.path)
            _check_same(self.path, found, header)
        else:
            self._append(sealed(header))

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @property
    def reports(self) -> list[ProblemReport]:
        """What the journal holds, in order of writing."""
        return list(self._reports)

    def append(self, report: ProblemReport) -> None:
        """Write one report; when it returns, a kill cannot lose it.

        Raises:
          JournalError: the disk is full or the file cannot be written.
        """
        self._append(report.to_json())
        self._reports.append(report)

    def _append(self, value: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise JournalError(
                f"cannot write the journal {self.path} ({error}); what was written before is safe: "
                "free some space, then start the same command again"
            ) from None


def read_journal(path: Path) -> tuple[dict[str, Any], list[ProblemReport]]:
    """Return a journal's campaign and reports; a last line that was cut short is left out.

    Raises:
      JournalError: there is no such file, or it is not a journal.
      DataError: its campaign was edited.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise JournalError(f"cannot read the journal {path} ({error.strerror})") from None
    try:
        header, *rows = (json.loads(line) for line in lines)
        reports = [ProblemReport.from_json(row) for row in rows]
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}")
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(
            f"{path} is not a journal of this version ({type(error).__name__}: {error}); "
            "give the folder that `stepnav data mutate` made, or another one"
        ) from None
    return unsealed(header, path), reports


def _trim(path: Path) -> bool:
    """Take off a last line that has no end; return whether anything is left."""
    with path.open("r+b") as file:
        content = file.read()
        end = content.rfind(b"\n") + 1
        if end != len(content):
            file.truncate(end)
    return end > 0


def _check_same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if difference := first_difference(found, wanted):
        raise JournalError(
            f"the journal {path} was made with other settings ({difference}); use the same "
            "settings to go on with it, or another folder"
        )
