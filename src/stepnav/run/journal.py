"""The journal: every answered request and every finished search of a run, in one SQLite file.

Write-ahead logging with `synchronous=NORMAL`: a row that was committed survives a kill of the
process, and a torn write after a power cut loses the newest rows, never the file. An answer is
committed before a search sees it, so that no answer that had any effect can be lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from stepnav.core.codec import decode_result, encode_result
from stepnav.core.errors import JournalError
from stepnav.core.outcome import SearchResult
from stepnav.run.database import SCHEMA_VERSION, SQLITE_ERRORS, open_to_read, open_to_write

_encode = json.JSONEncoder(check_circular=False).encode
"""Payloads are made of fresh lists; not to look for circles saves a tenth of the encoding."""

ABSORBED = {"answers": "?, ?, ?, ?, ?", "results": "?, ?, ?", "verdicts": "?, ?", "spans": "?, ?"}
"""Table -> a mark for each of its columns."""


class Entry(NamedTuple):
    """One journaled event of a search; a tuple, since one is made for every request.

    Attributes:
      search_id: the search.
      number: position among the search's requests, from 0.
      digest: identifies the request that was asked.
      elapsed_s: seconds since the search began, earlier runs included.
      payload: the encoded answer; the encoded usage for a refusal by clock.
    """

    search_id: str
    number: int
    digest: str
    elapsed_s: float
    payload: Any


class Journal:
    """A run's journal, created if it is not there.

    Args:
      path: the SQLite file.
      config: digest of the run's configuration; a journal of another one is refused.
      is_read_only: only read, so that the folder need not be writable; the file must be there.

    Raises:
      JournalError: it cannot be opened, is not a journal, or belongs to another configuration.
    """

    def __init__(
        self, path: Path, config: str | None = None, *, is_read_only: bool = False
    ) -> None:
        self.path = path
        try:
            self._db = open_to_read(path) if is_read_only else open_to_write(path)
        except SQLITE_ERRORS as error:
            needed = "" if is_read_only else ", and writable"
            raise JournalError(
                f"cannot open the journal {path} ({error}); is it a run folder{needed}?"
            ) from None
        try:
            self._check_meta("schema", str(SCHEMA_VERSION), "by another version of stepnav")
            if config is not None:
                self._set_meta("config", config)
                self._check_meta("config", config, "with other settings")
        except JournalError:
            self._db.close()
            raise

    @property
    def config(self) -> str | None:
        """Digest of the configuration that it was made with, None if it was made without."""
        return self._meta("config")

    def append(self, entries: Sequence[Entry]) -> None:
        """Write answered requests in one transaction; when it returns they are safe.

        Raises:
          JournalError: the disk is full or the file cannot be written.
        """
        rows = [(*entry[:-1], _encode(entry.payload)) for entry in entries]
        self._write("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", rows)

    def append_results(self, results: Sequence[SearchResult]) -> None:
        """Write finished searches in one transaction; a failed one is tried again on resume.

        Verdicts on earlier tries of them are no longer theirs.
        """
        rows = [
            (
                result.search_id,
                int(result.outcome.stop_reason == "failed"),
                json.dumps(encode_result(result)),
            )
            for result in results
        ]
        self._write(
            "INSERT OR REPLACE INTO results VALUES (?, ?, ?)",
            rows,
            also=("DELETE FROM verdicts WHERE search_id = ?", [row[:1] for row in rows]),
        )

    def add_verdict(self, search_id: str, correct: bool | None) -> None:
        """Note whether a search's answer is right; None is a verdict too: it could not be told."""
        row = (search_id, None if correct is None else int(correct))
        self._write("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", [row])

    def verdicts(self) -> dict[str, bool | None]:
        """Return the verdicts that were noted, by search."""
        if not self._read("SELECT 1 FROM sqlite_master WHERE name = 'verdicts'"):
            return {}  # an earlier version wrote this journal
        rows = self._read("SELECT search_id, correct FROM verdicts")
        return {search_id: None if value is None else bool(value) for search_id, value in rows}

    def add_span(self, name: str, seconds: float) -> None:
        """Add wall-clock seconds to a named span of the run."""
        self._write("INSERT INTO spans VALUES (?, ?)", [(name, seconds)])

    def spans(self) -> dict[str, float]:
        """Return the summed seconds of each named span."""
        return dict(self._read("SELECT name, SUM(seconds) FROM spans GROUP BY name", str, float))

    def entries(self) -> dict[str, list[Entry]]:
        """Return the answered requests of each unfinished search, in order of writing.

        Where a clock cut a batch short, its refusal follows under the number of the batch's first
        answer and takes that answer's place.
        """
        found: dict[str, list[Entry]] = {}
        query = (
            "SELECT search_id, number, digest, elapsed_s, payload FROM answers "
            "WHERE search_id NOT IN (SELECT search_id FROM results WHERE is_failed = 0) "
            "ORDER BY rowid"
        )
        for search_id, number, digest, elapsed_s, payload in self._read(
            query, str, int, str, float, str
        ):
            entry = Entry(search_id, number, digest, elapsed_s, self._loads(payload, search_id))
            found.setdefault(search_id, []).append(entry)
        return found

    def finished_ids(self) -> set[str]:
        """Return the ids of the searches that need not run again."""
        rows = self._read("SELECT search_id FROM results WHERE is_failed = 0", str)
        return {search_id for (search_id,) in rows}

    def result_ids(self) -> list[str]:
        """Return the ids of all finished searches, ordered, failed ones included."""
        rows = self._read("SELECT search_id FROM results ORDER BY search_id")
        return [search_id for (search_id,) in rows]

    def results(self) -> Iterator[SearchResult]:
        """Return all finished searches by id, failed ones included; one at a time is in memory."""
        for search_id in self.result_ids():
            found = self.result(search_id)
            if found is None:
                raise self._damaged(search_id, LookupError("it is listed and is not there"))
            yield found

    def result(self, search_id: str) -> SearchResult | None:
        """Return one finished search; None if there is none of this id."""
        rows = self._read(
            "SELECT payload FROM results WHERE search_id = ?", str, values=(search_id,)
        )
        return self._decoded(search_id, rows[0][0]) if rows else None

    def keep_newest(self, count: int) -> None:
        """Leave out all but the newest finished searches."""
        newest = "SELECT rowid FROM results ORDER BY rowid DESC LIMIT ?"
        self._write(f"DELETE FROM results WHERE rowid NOT IN ({newest})", [(count,)])

    def absorb(self, other: Journal) -> None:
        """Take over all that another journal holds, in one transaction; once, though asked again.

        Its settings are not compared.

        Raises:
          JournalError: one of the two cannot be read or written.
        """
        name = blake2b(str(other.path.resolve()).encode(), digest_size=8).hexdigest()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            once = "INSERT OR IGNORE INTO meta VALUES (?, '')"
            if self._db.execute(once, (f"absorbed {name}",)).rowcount:
                for table, marks in ABSORBED.items():
                    rows = other._db.execute(f"SELECT * FROM {table}")
                    self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)
            self._db.execute("COMMIT")
        except SQLITE_ERRORS as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise JournalError(f"cannot copy {other.path} to {self.path} ({error})") from None

    def num_answers(self) -> int:
        """Return how many answered requests are stored."""
        return int(self._read("SELECT COUNT(*) FROM answers")[0][0])

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._db.close()

    def _decoded(self, search_id: str, payload: str) -> SearchResult:
        try:
            return decode_result(self._loads(payload, search_id))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise self._damaged(search_id, error) from None

    def _loads(self, payload: str, search_id: str) -> Any:
        try:
            return json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise self._damaged(search_id, error) from None

    def _damaged(self, search_id: str, error: Exception) -> JournalError:
        return JournalError(
            f"the journal {self.path} is damaged at search {search_id} ({error!r}); "
            "take it from a backup, or start again in another folder"
        )

    def _set_meta(self, key: str, value: str) -> None:
        self._write("INSERT OR IGNORE INTO meta VALUES (?, ?)", [(key, value)])

    def _meta(self, key: str) -> str | None:
        return dict(self._read("SELECT key, value FROM meta")).get(key)

    def _check_meta(self, key: str, value: str, otherwise: str) -> None:
        found = self._meta(key)
        if found != value:
            raise JournalError(
                f"the journal {self.path} was made {otherwise} ({key} {found}, now {value}); "
                "use the same settings to resume it, or another folder"
            )

    def _write(
        self,
        statement: str,
        rows: Sequence[tuple[Any, ...]],
        *,
        also: tuple[str, Sequence[tuple[Any, ...]]] | None = None,
    ) -> None:
        if not rows:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(statement, rows)
            if also is not None:
                self._db.executemany(*also)
            self._db.execute("COMMIT")
        except SQLITE_ERRORS as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise JournalError(
                f"cannot write the journal {self.path} ({error}); what was written before is safe: "
                "free some space, then resume"
            ) from None

    def _read(self, query: str, *kinds: type, values: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query; a damaged file may hold values of any kind in any column."""
        try:
            rows: list[tuple[Any, ...]] = self._db.execute(query, values).fetchall()
        except SQLITE_ERRORS as error:
            raise JournalError(f"cannot read the journal {self.path} ({error})") from None
        for row in rows:
            if not all(map(isinstance, row, kinds)):
                raise self._damaged(str(row[0]), TypeError("a column holds another kind of value"))
        return rows
