"""The way into a driver: any thread hands searches and orders in, the driver's own takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from stepnav.run.search import Search


@dataclass(frozen=True, slots=True)
class Cancel:
    """The order to leave a search."""

    search_id: str


@dataclass(frozen=True, slots=True)
class Hurry:
    """The order to end a search with what it has; None is all of them."""

    search_id: str | None


Order = Search | Cancel | Hurry


class Door:
    """Keeps what was handed in, and which searches may not be handed in again.

    Args:
      done: ids of searches that have ended before.

    Attributes:
      is_closed: whether it takes no more.
    """

    def __init__(self, done: Iterable[str]) -> None:
        self._lock = threading.Condition()
        self._orders: deque[Order] = deque()
        self._open: set[str] = set()
        self._cancelled: set[str] = set()
        self._done = set(done)
        self.is_closed = False

    @property
    def num_open(self) -> int:
        """How many searches were added and have neither ended nor been left."""
        return len(self._open)

    def add(self, search: Search) -> bool:
        """Take a search; return False if it was done before.

        Raises:
          ValueError: its id is open, or was left for good; or the door is closed.
        """
        with self._lock:
            if self.is_closed:
                raise ValueError("the driver was closed and takes no more searches")
            if search.id in self._open:
                raise ValueError(f"a search with the id {search.id!r} is running already")
            if search.id in self._cancelled:
                raise ValueError(f"the search {search.id!r} was cancelled; give it another id")
            if search.id in self._done:
                return False
            self._open.add(search.id)
            self._orders.append(search)
            self._lock.notify()
        return True

    def put(self, order: Order) -> None:
        """Take an order."""
        with self._lock:
            self._orders.append(order)
            self._lock.notify()

    def take(self, timeout_s: float) -> list[Order]:
        """Return all that was handed in, having waited if it is nothing; 0 does not wait."""
        with self._lock:
            if timeout_s and not self._orders:
                self._lock.wait(timeout_s)
            orders = list(self._orders)
            self._orders.clear()
        return orders

    def leave(self, search_id: str, *, for_good: bool) -> None:
        """Forget a search that was cancelled; `for_good` refuses its id from now on."""
        with self._lock:
            if for_good and search_id in self._open:
                self._cancelled.add(search_id)
            self._open.discard(search_id)

    def end(self, ended: Iterable[str], done: Iterable[str]) -> None:
        """Forget searches that have ended; those that are done are not taken again."""
        with self._lock:
            self._done.update(done)
            self._open.difference_update(ended)

    def clear(self, done: Iterable[str] | None = None) -> None:
        """Forget all that was handed in, as if only `done` had ever ended; None leaves that be."""
        with self._lock:
            self._orders.clear()
            self._open.clear()
            if done is not None:
                self._done = set(done)

    def close(self) -> None:
        """Take no more searches."""
        with self._lock:
            self.is_closed = True
