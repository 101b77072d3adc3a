"""Finished searches, kept in a journal with a bound, which several copies of a server may share."""

from __future__ import annotations

import logging
from pathlib import Path

from stepnav.core.errors import JournalError
from stepnav.core.outcome import SearchResult
from stepnav.run.journal import Journal

FILE_NAME = "traces.sqlite"

TRIM_EVERY = 100
"""So many searches are kept beyond the bound before the oldest are left out."""

logger = logging.getLogger("stepnav")


class Traces:
    """The writing half; lives in one thread.

    Args:
      folder: made if it is missing.
      most: how many searches are kept.
    Raises:
      JournalError: the journal there cannot be used.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._path, self._most, self._written = folder / FILE_NAME, most, 0
        folder.mkdir(parents=True, exist_ok=True)
        Journal(self._path).close()  # what is wrong with it is known before the server starts
        self._journal: Journal | None = None

    def add(self, result: SearchResult) -> None:
        """Keep a search; a full disk is no reason not to answer."""
        try:
            self._journal = self._journal or Journal(self._path)
            self._journal.append_results([result])
            self._written += 1
            if self._written % TRIM_EVERY == 1:
                self._journal.keep_newest(self._most)
        except JournalError as error:
            logger.error("a trace was not kept: %s", error)

    def close(self) -> None:
        """Close the file, in the thread that wrote to it; may be called twice."""
        if self._journal is not None:
            self._journal.close()


def read_trace(folder: Path, trace_id: str) -> SearchResult | None:
    """Return a search that was kept, None if there is none of this id (any longer).

    Raises:
      JournalError: the journal is damaged.
    """
    journal = Journal(folder / FILE_NAME, is_read_only=True)
    try:
        return journal.result(trace_id)
    finally:
        journal.close()
