"""The driver: an engine that runs any number of searches over completion-queue backends.

It hands every open request to its backend and wakes each search when its answers are there. Any
thread may `add` and `cancel` searches; one thread, the driver's own, calls everything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from stepnav.core.backend import Backend
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendDown, BackendError, StepnavError
from stepnav.core.outcome import SearchResult
from stepnav.run.door import Cancel, Door, Hurry
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
      on_left: called within `step` with the id of each search that is cancelled while it runs, and
        with what it has spent, which no result tells.
    """

    def __init__(
        self,
        models: Mapping[str, Backend],
        *,
        journal: Journal | None = None,
        max_active: int = 64,
        fails_alone: bool = False,
        on_left: Callable[[str, Usage], None] | None = None,
    ) -> None:
        if max_active < 1:
            raise ValueError(f"max_active must be at least 1 (got {max_active})")
        self.models = dict(models)
        self.journal = journal
        self.max_active = max_active
        self._fails_alone = fails_alone
        self._on_left = on_left
        self._tickets = Tickets(self.models, fails_alone=fails_alone)
        self._door = Door(journal.finished_ids() if journal else ())
        self._replays = journal.entries() if journal else {}
        self._waiting: dict[str, Search] = {}
        self._running: dict[str, RunningSearch] = {}
        self._clocked: dict[str, RunningSearch] = {}
        self._finished: deque[SearchResult] = deque()

    @property
    def num_open(self) -> int:
        """How many searches were added and have neither ended nor been cancelled."""
        return self._door.num_open

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
        return self._door.add(search)

    def cancel(self, search_id: str) -> None:
        """Leave a search, from any thread: it asks nothing more, and gives no result.

        What it has spent is told to `on_left`. A search that has ended, or that nobody added, is no
        error.
        """
        self._door.put(Cancel(search_id))

    def hurry(self, search_id: str | None = None) -> None:
        """Let a search's seconds be spent now, from any thread: it ends with its best so far.

        One that waits for its turn ends at once, with nothing.

        Args:
          search_id: one that has ended is no error; None is all that are there.
        """
        self._door.put(Hurry(search_id))

    def step(self, timeout_s: float = WAIT_S) -> list[SearchResult]:
        """Take orders, serve what was answered, and return the searches that have ended.

        Args:
          timeout_s: longest wait where nothing can be done.
        Raises:
          BackendDown: a backend cannot be reached any more; everything answered is in the journal.
          JournalError: the journal cannot be written or does not fit these searches.
        """
        self._take_orders(timeout_s)
        self._start_waiting()
        if self._tickets:
            self._serve(self._tickets.poll(timeout_s))
        self._stop_late()
        return self._take_finished()

    def run(self, searches: Iterable[Search | None]) -> Iterator[SearchResult]:
        """Run searches to their end and yield their results as they come, in no set order.

        The searches are drawn from `searches` only as there is room for them; None says that there
        is none for now.

        Raises:
          BackendDown, JournalError: as `step`.
        """
        source = iter(searches)
        has_more = True
        try:
            while has_more or self.num_open:
                while has_more and self.num_open < self.max_active:
                    try:
                        search = next(source)
                    except StopIteration:
                        has_more = False
                    else:
                        if search is None:
                            break
                        self.add(search)
                yield from self.step()
        except (GeneratorExit, Exception):
            # Not after Ctrl-C: it may have stopped a backend at any line; that is only closed.
            self._forget()
            if self.journal is not None and not self._door.is_closed:  # a later run goes on
                self._door.clear(self.journal.finished_ids())
                self._replays = self.journal.entries()
            raise

    def close(self) -> None:
        """Leave all searches and take no more; the backends stay as they are."""
        self._door.close()
        self._forget()

    def _forget(self) -> None:
        """Leave all searches, so that a later run starts with none."""
        self._door.clear()
        for search_id in list(self._running):
            self._leave(search_id)
        self._waiting.clear()
        self._finished.clear()

    def _take_orders(self, timeout_s: float) -> None:
        is_idle = not (self._running or self._waiting or self._finished)
        for order in self._door.take(timeout_s if is_idle else 0.0):
            if isinstance(order, Search):
                self._waiting[order.id] = order
            elif isinstance(order, Hurry):
                self._hurry(order.search_id)
            else:
                self._waiting.pop(order.search_id, None)
                left = self._leave(order.search_id)
                if left is not None and self._on_left is not None:
                    self._on_left(order.search_id, left.charge_answered())
                self._door.leave(order.search_id, for_good=self.journal is not None)

    def _hurry(self, search_id: str | None) -> None:
        for search in list(self._waiting.values()):
            if search_id in (None, search.id):
                budget = replace(search.budget, seconds=0.0)
                self._waiting[search.id] = replace(search, budget=budget)
        for running in self._running.values():
            if search_id in (None, running.search.id):
                running.hurry()
                self._clocked[running.search.id] = running

    def _start_waiting(self) -> None:
        """Start searches where there is room; those without any time left ask nothing, and end."""
        for search in list(self._waiting.values()):
            if len(self._running) < self.max_active or search.budget.seconds == 0.0:
                self._start(self._waiting.pop(search.id))

    def _start(self, search: Search) -> None:
        answered = search.answered or self._replays.pop(search.id, ())
        running = RunningSearch(search, self.models, answered)
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

    def _leave(self, search_id: str) -> RunningSearch | None:
        """Drop a running search, if there is one of this id, and all that it asked; return it."""
        running = self._running.pop(search_id, None)
        self._clocked.pop(search_id, None)
        if running is not None:
            self._tickets.cancel(running)
            running.close()
        return running

    def _take_finished(self) -> list[SearchResult]:
        finished = list(self._finished)
        done: list[str] = []
        if self.journal is not None:
            self.journal.append_results(finished)
            done = [r.search_id for r in finished if r.outcome.stop_reason != "failed"]
        self._finished.clear()
        self._door.end([result.search_id for result in finished], done)
        return finished

    def _write(self, entries: Sequence[Entry]) -> None:
        if self.journal is not None and entries:
            self.journal.append(entries)
