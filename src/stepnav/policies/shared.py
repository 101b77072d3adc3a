"""One backend with several owners, each of which asks it as if it had it alone.

A driver numbers the tickets of all that it asks itself. Where something that it asks (a judge) asks
the same model in turn, or several drivers ask one that the user opened, their tickets would meet;
each gets a port of its own instead. Of ports on different threads, one at a time is let through.
"""

from __future__ import annotations

import itertools
import os
import threading
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import BackendError
from stepnav.core.requests import Request

CROWDED_S = 0.005
"""Longest wait for answers where other ports may be waiting to ask."""

_numbers = itertools.count()
_lent: dict[int, SharedBackend] = {}
_lending = threading.Lock()


def _begin_anew() -> None:
    """Let nobody in a fork wait for locks that threads held which are not there any more."""
    global _lending
    _lending = threading.Lock()
    _lent.clear()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_begin_anew)


def lend(backend: Backend) -> Port:
    """Return a port of a backend that somebody else closes, and may lend to others meanwhile."""
    with _lending:
        shared = _lent.setdefault(id(backend), SharedBackend(backend, is_lent=True))
        return shared.port()


class SharedBackend:
    """Hands a backend's answers to the port that asked.

    Args:
      backend: closed with the last port.
      is_lent: whether it is not; see `lend`.
    """

    def __init__(self, backend: Backend, *, is_lent: bool = False) -> None:
        self.backend = backend
        self.lock = threading.RLock()
        self._is_lent = is_lent
        self._asked: dict[int, tuple[Port, int]] = {}
        self._open: set[int] = set()

    def port(self) -> Port:
        """Return one more port."""
        port = Port(self)
        self._open.add(id(port))
        return port

    def ask(self, port: Port, ticket: int, request: Request) -> int:
        """Submit a port's request; return its number in the backend."""
        number = next(_numbers)
        self.backend.submit(number, request)
        self._asked[number] = port, ticket
        return number

    def poll(self, timeout_s: float) -> None:
        """Take what the backend has answered to the ports that asked."""
        if len(self._open) > 1:
            timeout_s = min(timeout_s, CROWDED_S)
        for number, answer in self.backend.poll(timeout_s):
            port, ticket = self._asked.pop(number, (None, 0))
            if port is not None:
                port.take(ticket, answer)

    def forget(self, number: int) -> None:
        """Cancel a request."""
        self._asked.pop(number, None)
        self.backend.cancel(number)

    def leave(self, port: Port) -> None:
        """Close the backend, unless it is lent, if no other port is open."""
        with _lending:
            if id(port) not in self._open:
                return
            self._open.discard(id(port))
            is_last = not self._open
            if is_last and _lent.get(id(self.backend)) is self:
                del _lent[id(self.backend)]
        if is_last and not self._is_lent:
            self.backend.close()


class Port:
    """One owner's side of a shared backend, itself a backend (`core/backend.py`)."""

    def __init__(self, shared: SharedBackend) -> None:
        self.shared = shared
        self._numbers: dict[int, int] = {}
        self._ready: list[tuple[int, Answer | BackendError]] = []

    def submit(self, ticket: int, request: Request) -> None:
        """Take a request."""
        with self.shared.lock:
            self._numbers[ticket] = self.shared.ask(self, ticket, request)

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return what was answered to this port."""
        with self.shared.lock:
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
        with self.shared.lock:
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
