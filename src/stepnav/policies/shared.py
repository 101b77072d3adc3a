"""One backend with several owners, each of which asks it as if it had it alone.

A driver numbers the tickets of all that it asks itself. Where something that it asks (a judge) asks
the same model in turn, their tickets would meet; each gets a port of its own instead.
"""

from __future__ import annotations

import itertools
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import BackendError
from stepnav.core.requests import Request


class SharedBackend:
    """Hands a backend's answers to the port that asked.

    Args:
      backend: closed with the last port.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._numbers = itertools.count()
        self._asked: dict[int, tuple[Port, int]] = {}
        self._open: set[int] = set()

    def port(self) -> Port:
        """Return one more port."""
        port = Port(self)
        self._open.add(id(port))
        return port

    def ask(self, port: Port, ticket: int, request: Request) -> int:
        """Submit a port's request; return its number in the backend."""
        number = next(self._numbers)
        self.backend.submit(number, request)
        self._asked[number] = port, ticket
        return number

    def poll(self, timeout_s: float) -> None:
        """Take what the backend has answered to the ports that asked."""
        for number, answer in self.backend.poll(timeout_s):
            port, ticket = self._asked.pop(number, (None, 0))
            if port is not None:
                port.take(ticket, answer)

    def forget(self, number: int) -> None:
        """Cancel a request."""
        self._asked.pop(number, None)
        self.backend.cancel(number)

    def leave(self, port: Port) -> None:
        """Close the backend if no other port is open."""
        self._open.discard(id(port))
        if not self._open:
            self.backend.close()


class Port:
    """One owner's side of a shared backend, itself a backend (`core/backend.py`)."""

    def __init__(self, shared: SharedBackend) -> None:
        self.shared = shared
        self._numbers: dict[int, int] = {}
        self._ready: list[tuple[int, Answer | BackendError]] = []

    def submit(self, ticket: int, request: Request) -> None:
        """Take a request."""
        self._numbers[ticket] = self.shared.ask(self, ticket, request)

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return what was answered to this port."""
        if not self._ready:
            self.shared.poll(timeout_s)
        ready, self._ready = self._ready, []
        return ready

    def take(self, ticket: int, answer: Answer | BackendError) -> None:
        """Keep an answer for the next poll."""
        if self._numbers.pop(ticket, None) is not None:
            self._ready.append((ticket, answer))

    def cancel(self, ticket: int) -> None:
        """Forget a request."""
        number = self._numbers.pop(ticket, None)
        if number is not None:
            self.shared.forget(number)
        self._ready = [item for item in self._ready if item[0] != ticket]

    def token_bound(self, request: Request) -> int:
        """Return the backend's own bound."""
        return self.shared.backend.token_bound(request)

    def close(self) -> None:
        """Forget this port's requests; may be called twice."""
        for ticket in list(self._numbers):
            self.cancel(ticket)
        self.shared.leave(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shared.backend, name)
