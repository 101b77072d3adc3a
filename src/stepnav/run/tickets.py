"""The open requests of all searches: under which ticket each was handed to which backend."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import BackendDown, BackendError
from stepnav.core.requests import Request
from stepnav.run.running import RunningSearch

FRUITLESS_POLLS = 4
"""With several busy backends, rounds without an answer after which each is made to work."""

_numbers = itertools.count()
"""Of all drivers: a backend may answer late what an earlier one has cancelled."""

Ready = list[tuple[int, "Answer | BackendError"]]


class Tickets:
    """Hands requests over to backends, and fetches their answers.

    Args:
      models: name -> backend; one may serve several names.
      fails_alone: whether a backend that is down answers each of its requests with that error,
        instead of raising it.

    Attributes:
      num_asked: requests that were handed over.
    """

    def __init__(self, models: Mapping[str, Backend], *, fails_alone: bool) -> None:
        self.num_asked = 0
        self._models = models
        self._fails_alone = fails_alone
        self._open: dict[int, tuple[RunningSearch, int, Backend]] = {}
        self._pending = {id(backend): 0 for backend in models.values()}
        self._fruitless = 0

    def __len__(self) -> int:
        """Return how many requests are open."""
        return len(self._open)

    def submit(self, running: RunningSearch, number: int, request: Request) -> None:
        """Hand over a request of a search."""
        backend = running.models[request.model]
        ticket = next(_numbers)
        self.num_asked += 1
        self._open[ticket] = running, number, backend
        running.tickets.add(ticket)
        self._pending[id(backend)] += 1
        backend.submit(ticket, request)

    def poll(self, timeout_s: float) -> Ready:
        """Return what the busy backends have answered.

        Raises:
          BackendDown: a backend cannot be reached any more.
        """
        busy = {id(b): b for b in self._models.values() if self._pending[id(b)]}.values()
        if len(busy) > 1:
            timeout_s = 0.0 if self._fruitless < FRUITLESS_POLLS else timeout_s / 10
        ready: Ready = []
        for backend in busy:
            try:
                ready += backend.poll(timeout_s)
            except BackendDown as error:
                if self._fails_alone:
                    ready += [(t, error) for t, (_, _, b) in self._open.items() if b is backend]
                elif not ready:  # else serve what another answered first; the next poll raises
                    raise
        self._fruitless = 0 if ready else self._fruitless + 1
        return ready

    def close(self, ticket: int) -> tuple[RunningSearch, int] | None:
        """Forget a request; return its search and its number there, None if it was cancelled."""
        closed = self._open.pop(ticket, None)
        if closed is None:
            return None
        running, number, backend = closed
        running.tickets.discard(ticket)
        self._pending[id(backend)] -= 1
        return running, number

    def cancel(self, running: RunningSearch) -> None:
        """Take back all open requests of a search."""
        for ticket in list(running.tickets):
            backend = self._open[ticket][2]
            self.close(ticket)
            backend.cancel(ticket)
