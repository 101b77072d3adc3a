"""What one search has asked, in order: its clock, its numbers, and what a journal holds of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.codec import decode_answer, decode_usage, encode_answer, encode_usage
from stepnav.core.errors import JournalError
from stepnav.core.requests import Request
from stepnav.run.journal import Entry
from stepnav.run.parts import digest_of

T = TypeVar("T")

REFUSED = "refused"
CUT = "cut"
"""Digests of what the clock did, which a replay could not work out again.

refused: a whole batch; cut: one part of a batch of which other parts were answered. A batch with a
cut part has no parts but those that the journal names.
"""


class Transcript:
    """The numbered requests of one search; those that a journal holds are not asked again.

    Args:
      search_id: the search.
      entries: what the journal holds of it, in order of writing.

    Attributes:
      number: of the next request.
      known: number -> entry, of those that were not replayed yet.
    """

    __slots__ = ("_began", "_search_id", "known", "number")

    def __init__(self, search_id: str, entries: Sequence[Entry]) -> None:
        self._search_id = search_id
        self._began = time.monotonic() - max((entry.elapsed_s for entry in entries), default=0.0)
        self.known: dict[int, Entry] = {}
        for entry in entries:
            if entry.digest == REFUSED:  # it takes the place of its whole batch
                self.known = {n: known for n, known in self.known.items() if n < entry.number}
            self.known[entry.number] = entry
        self.number = 0

    def elapsed_s(self) -> float:
        """Return the seconds since the search began, earlier runs included."""
        return time.monotonic() - self._began

    def next(self) -> Entry | None:
        """Return what the journal holds of the next request, None if it was never answered."""
        return self.known.get(self.number)

    def take(self) -> int:
        """Return the next request's number, and go on to the one after it."""
        number = self.number
        self.known.pop(number, None)
        self.number = number + 1
        return number

    @property
    def is_behind(self) -> bool:
        """Whether the journal holds the next request or a later one, which was asked in time."""
        return max(self.known, default=-1) >= self.number

    def next_refusal(self) -> Usage | None:
        """Return what it cost if the journal says that the clock refused the next batch."""
        entry = self.next()
        if entry is None or entry.digest != REFUSED:
            return None
        self.take()
        return _decoded(decode_usage, entry)

    def refusal(self, spent: Usage) -> Entry:
        """Return the clock's refusal of the next batch, for the journal, and go on behind it."""
        return Entry(self._search_id, self.take(), REFUSED, self.elapsed_s(), encode_usage(spent))

    def cut(self, number: int) -> Entry:
        """Return for the journal that the clock left a request unanswered."""
        return Entry(self._search_id, number, CUT, self.elapsed_s(), None)

    def answered(self, number: int, request: Request, answer: Answer) -> Entry:
        """Return an answer for the journal."""
        payload = encode_answer(request, answer)
        return Entry(self._search_id, number, digest_of(request), self.elapsed_s(), payload)

    def replayed(self, request: Request, entry: Entry) -> Answer:
        """Return a journaled answer.

        Raises:
          JournalError: it was given to another request, or is damaged.
        """
        if entry.digest != digest_of(request):
            raise JournalError(
                f"the journal's answer {entry.number} of search {entry.search_id} was given to "
                "another request; the run's settings or code have changed since: use another folder"
            )
        return _decoded(partial(decode_answer, request), entry)


def _decoded(decode: Callable[[Any], T], entry: Entry) -> T:
    """Return what a journaled payload stands for."""
    try:
        return decode(entry.payload)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise JournalError(
            f"the journal's answer {entry.number} of search {entry.search_id} is damaged "
            f"({error!r}); take the journal from a backup, or start again in another folder"
        ) from None
