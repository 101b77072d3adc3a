"""The journal of a campaign: one JSON line per problem, appended as soon as it is done.

The first line says what campaign it is. One shard of a campaign is one such file, so `merge` needs
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.files.claim import unsealed
from stepnav.files.lines import LineFile, read_lines
from stepnav.mutate.findings import ProblemReport

FORMAT = 1
_NOUN = "a line of a campaign's journal"


class Journal(LineFile):
    """A shard's journal; arguments and errors as of `LineFile`.

    Args:
      campaign: what the campaign is; JSON values.
    """

    def __init__(self, path: Path, campaign: Mapping[str, Any]) -> None:
        self._reports: list[ProblemReport] = []
        settings = {"format": FORMAT, **campaign}
        super().__init__(path, noun=_NOUN, elsewhere="name another folder", settings=settings)
        self.begin()  # a shard without problems is one, too

    @property
    def reports(self) -> list[ProblemReport]:
        """What the journal holds, in order of writing."""
        return list(self._reports)

    def take(self, row: Any) -> None:
        """Keep the report of a line."""
        self._reports.append(ProblemReport.from_json(row))

    def add(self, report: ProblemReport) -> None:
        """Write one report; errors as of `append`."""
        self.append(report.to_json())
        self._reports.append(report)


def read_journal(path: Path) -> tuple[dict[str, Any], list[ProblemReport]]:
    """Return a journal's campaign and reports; a last line that was cut short is left out.

    Raises:
      DataError: there is no such file, it is not a journal, or its campaign was edited.
    """
    header: dict[str, Any] = {}
    reports: list[ProblemReport] = []

    def take(number: int, row: Any) -> None:
        if number > 1:
            reports.append(ProblemReport.from_json(row))
            return
        header.update(unsealed(row, path))
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}")

    read_lines(path, take, noun=_NOUN, advice="give the folder that `stepnav data mutate` made")
    return header, reports
