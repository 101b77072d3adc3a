"""The driver: an engine that runs any number of searches over completion-queue backends.

It hands every open request to its backend and wakes each search when its answers are there. Any
thread may `add` and `cancel` searches; one thread, the driver's own, calls everything else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from stepnav.core.backend import Backend
from stepnav.core.errors import BackendDown, BackendError, StepnavError
from stepnav.core.outcome import SearchResult
from stepnav.run.journal import Entry, Journal
from stepnav.run.running import RunningSearch
from stepnav.run.search import Search
from stepnav.run.tickets import Ready, Tickets

WAIT_S = 0.05
"""Longest wait in one step, so that clocks, orders and Ctrl-C are noticed."""


class Driver:
    """Runs searches over a mapping of named models.

    Args:
      models: name -> backend, for instance {"policy": p, "reward": r}; one may serve several names.
      journal: where answers and results are kept; None keeps nothing.
      max_active: how many searches run at once; further ones wait their turn.
      fails_alone: whether a backend that is down fails only the searches that wait for it, as a
        server wants it; else it ends the run with `BackendDown`, and a journal resumes it.
    """

    def __init__(
        self,
        models: Mapping[str, Backend],
        *,
        journal: Journal | None = None,
        max_active: int = 64,
        fails_alone: bool = False,
    ) -> None:
        if max_active < 1:
            raise ValueError(f"max_active must be at least 1 (got {max_active})")
        self.models = dict(models)
        self.journal = journal
        self.max_active = max_active
        self._fails_alone = fails_alone
        self._tickets = Tickets(self.models, fails_alone=fails_alone)
        self._done = journal.finished_ids() if journal else set()
        self._replays = journal.entries() if journal else {}
        self._door = threading.Condition()
        self._orders: deque[Search | str | list[str | None]] = deque()  # to add, cancel, hurry
        self._ids: set[str] = set()
        self._cancelled: set[str] = set()
        self._is_closed = False
        self._waiting: dict[str, Search] = {}
        self._running: dict[str, RunningSearch] = {}
        self._clocked: dict[str, RunningSearch] = {}
        self._finished: deque[SearchResult] = deque()

    @property
    def num_open(self) -> int:
        """How many searches were added and have neither ended nor been cancelled."""
        return len(self._ids)

    @property
    def num_asked(self) -> int:
        """How many requests were handed to backends; those that a journal answered are none."""
        return self._tickets.num_asked

    def add(self, search: Search) -> bool:
        """Take a search, from any thread; return whether there was anything left to do.

        A search that the journal holds as finished is left out; one that it holds in part goes on
        where it stood, with no answered request asked again.

        Raises:
          ValueError: a search of this id is open, or was cancelled with its answers in a journal;
            or the driver was closed.
        """
        with self._door:
            if self._is_closed:
                raise ValueError("the driver was closed and takes no more searches")
            if search.id in self._ids:
                raise ValueError(f"a search with the id {search.id!r} is running already")
            if search.id in self._cancelled:
                raise ValueError(f"the search {search.id!r} was cancelled; give it another id")
            if search.id in self._done:
                return False
            self._ids.add(search.id)
            self._orders.append(search)
            self._door.notify()
        return True

    def cancel(self, search_id: str) -> None:
        """Leave a search, from any thread: it asks nothing more, and gives no result.

        A search that has ended, or that nobody added, is no error.
        """
        with self._door:
            self._orders.append(search_id)
            self._door.notify()

    def hurry(self, search_id: str | None = None) -> None:
        """Let a search, or all, end with the best so far, from any thread; unknown ids too."""
        with self._door:
            self._orders.append([search_id])
            self._door.notify()

    def step(self, timeout_s: float = WAIT_S) -> list[SearchResult]:
        """Take orders, serve what was answered, and return the searches that have ended.

        Args:
          timeout_s: longest wait where nothing can be done.
        Raises:
          BackendDown: a backend cannot be reached any more; everything answered is in the journal.
          JournalError: the journal cannot be written or does not fit these searches.
        """
        self._take_orders(timeout_s)
        while self._waiting and len(self._running) < self.max_active:
            self._start(self._waiting.pop(next(iter(self._waiting))))
        if self._tickets:
            self._serve(self._tickets.poll(timeout_s))
        self._stop_late()
        return self._take_finished()

    def run(self, searches: Iterable[Search]) -> Iterator[SearchResult]:
        """Run searches to their end and yield their results as they come, in no set order.

        The searches are drawn from `searches` only as there is room for them.

        Raises:
          BackendDown, JournalError: as `step`.
        """
        source = iter(searches)
        has_more = True
        try:
            while has_more or self._ids:
                while has_more and self.num_open < self.max_active:
                    search = next(source, None)
                    has_more = search is not None
                    if search is not None:
                        self.add(search)
                yield from self.step()
        except (GeneratorExit, Exception):
            # Not after Ctrl-C: it may have stopped a backend at any line; that is only closed.
            self._forget()
            raise

    def close(self) -> None:
        """Leave all searches and take no more; the backends stay as they are."""
        with self._door:
            self._is_closed = True
        self._forget()

    def _forget(self) -> None:
        """Leave all searches, so that a later run starts with none."""
        with self._door:
            self._orders.clear()
            self._ids.clear()
        for search_id in list(self._running):
            self._leave(search_id)
        self._waiting.clear()
        self._finished.clear()
        if self.journal is not None and not self._is_closed:  # a later run goes on from there
            self._done, self._replays = self.journal.finished_ids(), self.journal.entries()

    def _take_orders(self, timeout_s: float) -> None:
        with self._door:
            if not (self._orders or self._running or self._waiting or self._finished):
                self._door.wait(timeout_s)
            orders = list(self._orders)
            self._orders.clear()
        for order in orders:
            if isinstance(order, Search):
                self._waiting[order.id] = order
            elif isinstance(order, list):
                self._hurry(order[0])
            else:
                if self.journal is not None and order in self._ids:
                    self._cancelled.add(order)
                self._waiting.pop(order, None)
                self._leave(order)
                with self._door:
                    self._ids.discard(order)

    def _hurry(self, search_id: str | None) -> None:
        for name, search in self._waiting.items():
            if search_id in (None, name):
                self._waiting[name] = replace(search, budget=replace(search.budget, seconds=0.0))
        for name, running in self._running.items():
            if search_id in (None, name):
                running.hurry()
                self._clocked[name] = running

    def _start(self, search: Search) -> None:
        running = RunningSearch(search, self.models, self._replays.pop(search.id, ()))
        self._running[search.id] = running
        if search.budget.seconds is not None:
            self._clocked[search.id] = running
        self._advance(running)

    def _advance(self, running: RunningSearch) -> None:
        """Let a search go on; hand over what it asks, or keep its result."""
        try:
            asked, entries = running.advance()
        except StepnavError as error:
            if not self._fails_alone:
                raise
            running.refuse(error)
            asked, entries = [], []
        if entries:
            self._write(entries)
        try:
            for number, request in asked:
                self._tickets.submit(running, number, request)
        except (AssertionError, AttributeError, TypeError, ValueError) as error:
            self._tickets.cancel(running)  # a model was asked what it cannot take
            running.refuse(error)
        if running.result is not None:
            self._end(running)

    def _end(self, running: RunningSearch) -> None:
        assert running.result is not None, "a search that goes on was ended"
        search_id = running.search.id
        self._finished.append(running.result)
        self._running.pop(search_id, None)
        self._clocked.pop(search_id, None)

    def _serve(self, ready: Ready) -> None:
        """Journal all that was answered, then see to errors, then let the searches go on."""
        entries: list[Entry] = []
        touched: dict[str, RunningSearch] = {}
        failed: dict[str, BackendError] = {}
        for ticket, answer in ready:
            asked = self._tickets.close(ticket)
            if asked is None:  # cancelled
                continue
            running, number = asked
            touched[running.search.id] = running
            if isinstance(answer, BackendError):
                failed.setdefault(running.search.id, answer)
                continue
            if self.journal is not None:
                entries.append(running.entry(number, answer))
            running.take(number, answer)
        self._write(entries)
        if not self._fails_alone:
            for error in failed.values():
                if isinstance(error, BackendDown):
                    raise error
        broken: StepnavError | None = None
        for search_id, running in touched.items():
            if search_id in failed:
                self._tickets.cancel(running)
                running.fail(failed[search_id])
                self._end(running)
                continue
            try:
                self._advance(running)
            except StepnavError as error:  # the others' answers are not lost with it
                broken = broken or error
        if broken is not None:
            raise broken

    def _stop_late(self) -> None:
        """Cancel the requests of searches whose seconds are spent, and let them go on without."""
        for running in list(self._clocked.values()):
            if running.is_late:
                self._tickets.cancel(running)
                self._write(running.expire())
                self._advance(running)

    def _leave(self, search_id: str) -> None:
        """Drop a running search, if there is one of this id, and all that it asked."""
        running = self._running.pop(search_id, None)
        self._clocked.pop(search_id, None)
        if running is not None:
            self._tickets.cancel(running)
            running.close()

    def _take_finished(self) -> list[SearchResult]:
        finished = list(self._finished)
        if self.journal is not None:
            self.journal.append_results(finished)
            self._done.update(r.search_id for r in finished if r.outcome.stop_reason != "failed")
        self._finished.clear()
        with self._door:
            self._ids.difference_update(result.search_id for result in finished)
        return finished

    def _write(self, entries: Sequence[Entry]) -> None:
        if self.journal is not None and entries:
            self.journal.append(entries)
