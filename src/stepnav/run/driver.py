"""The driver: runs any number of search programs over completion-queue backends.

It hands every open request to its backend and wakes each program when its answers are there. What
all searches share stands here once: seeds, budgets, charges, the journal and its replay.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from typing import Any, TypeVar

from stepnav.core.backend import Answer, Backend
from stepnav.core.budget import Budget, Ledger, Usage
from stepnav.core.codec import decode_answer, decode_usage, encode_answer, encode_usage
from stepnav.core.errors import BackendDown, BackendError, JournalError, StepnavError
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Problem
from stepnav.core.requests import BudgetSpent, Program, Request, Score
from stepnav.core.seeds import derive_seed
from stepnav.core.tree import Node, Tree
from stepnav.run.accounting import KnownPrefixes, charge
from stepnav.run.journal import Entry, Journal

T = TypeVar("T")

WAIT_S = 0.05
"""Longest wait in one poll, so that clocks and Ctrl-C are noticed."""

FRUITLESS_POLLS = 4
"""With several busy backends, rounds without an answer after which each is made to work."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search to run.

    Attributes:
      id: unique within the run.
      strategy: the strategy's name; with the problem and the seed it derives all request seeds.
      options: the strategy's resolved arguments, for the record.
      problem: what to solve.
      start: makes the program; the tree already holds the problem.
      extract: finds the final answer in a solution's text.
      budget: what it may spend.
      seed: the run's seed for this repetition.
      on_change: follows the tree.
    """

    id: str
    strategy: str
    options: Mapping[str, Any]
    problem: Problem
    start: Callable[[Tree], Program]
    extract: Callable[[str], str | None]
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    on_change: Callable[[Node], None] | None = None


@dataclass(slots=True)
class _Running:
    """A search under way: its program, and the batch of requests that it waits for."""

    search: Search
    tree: Tree
    program: Program
    ledger: Ledger
    replay: dict[int, Entry]
    began: float
    policy_known: KnownPrefixes = field(default_factory=KnownPrefixes)
    reward_known: KnownPrefixes = field(default_factory=KnownPrefixes)
    number: int = 0
    batch: list[Request] = field(default_factory=list)
    first_number: int = 0
    answers: list[Answer | None] = field(default_factory=list)
    open_tickets: set[int] = field(default_factory=set)

    def elapsed_s(self) -> float:
        return time.monotonic() - self.began


@dataclass(frozen=True, slots=True)
class _Ticket:
    running: _Running
    position: int
    backend: Backend


class Driver:
    """Runs searches over a policy and, if a strategy asks for scores, a reward backend.

    Args:
      policy: answers `Propose` and `Complete`.
      reward: answers `Score`; None if no strategy scores.
      journal: where answers and results are kept; None keeps nothing.
      max_active: how many searches run at once.
    """

    def __init__(
        self,
        policy: Backend,
        reward: Backend | None = None,
        *,
        journal: Journal | None = None,
        max_active: int = 64,
    ) -> None:
        if max_active < 1:
            raise ValueError(f"max_active must be at least 1 (got {max_active})")
        self.policy = policy
        self.reward = reward
        self.journal = journal
        self.max_active = max_active
        self.num_asked = 0
        self.num_replayed = 0
        self._done = journal.finished_ids() if journal else set()
        self._replays = journal.entries() if journal else {}
        self._next_ticket = 0
        self._tickets: dict[int, _Ticket] = {}
        self._finished: deque[SearchResult] = deque()
        self._num_active = 0
        self._fruitless = 0
        self._clocked: dict[str, _Running] = {}
        backends = [policy] if reward is None or reward is policy else [policy, reward]
        self._pending: list[tuple[Backend, list[int]]] = [(b, [0]) for b in backends]

    def run(self, searches: Iterable[Search]) -> Iterator[SearchResult]:
        """Run searches to their end and yield their results as they come, in no set order.

        Searches that the journal holds as finished are left out; unfinished ones go on where they
        stood, with no answered request asked again.

        Raises:
          BackendDown: a backend cannot be reached any more; everything answered is in the journal.
          JournalError: the journal cannot be written or does not fit these searches.
        """
        waiting = iter([search for search in searches if search.id not in self._done])
        try:
            more = True
            while more or self._num_active:
                while more and self._num_active < self.max_active:
                    search = next(waiting, None)
                    more = search is not None
                    if search is not None:
                        self._start(search, self._replays.pop(search.id, []))
                if self._num_active:
                    self._serve(self._poll())
                yield from self._take_finished()
        except (GeneratorExit, StepnavError):
            # Not after Ctrl-C: it may have stopped a backend at any line, which then is only closed.
            self._forget()
            raise

    def _forget(self) -> None:
        """Leave all running searches, so that a later run starts with none."""
        for ticket_id, ticket in self._tickets.items():
            ticket.backend.cancel(ticket_id)
        self._tickets.clear()
        for _, pending in self._pending:
            pending[0] = 0
        self._finished.clear()
        self._clocked.clear()
        self._num_active = self._fruitless = 0

    def _start(self, search: Search, entries: Sequence[Entry]) -> None:
        tree = Tree(search.problem, search.on_change)
        earlier_s = max((entry.elapsed_s for entry in entries), default=0.0)
        running = _Running(
            search=search,
            tree=tree,
            program=search.start(tree),
            ledger=Ledger(search.budget),
            replay={entry.number: entry for entry in entries},
            began=time.monotonic() - earlier_s,
        )
        self._num_active += 1
        if search.budget.seconds is not None:
            self._clocked[search.id] = running
        self._advance(running, None)

    def _advance(self, running: _Running, sent: list[Any] | BudgetSpent | None) -> None:
        """Drive one program until it waits for a backend or ends."""
        while True:
            try:
                if isinstance(sent, BudgetSpent):
                    requests = running.program.throw(sent)
                elif sent is None:
                    requests = next(running.program)
                else:
                    requests = running.program.send(sent)
            except StopIteration as stop:
                self._finish(running, stop.value)
                return
            resource = self._refusal(running, requests)
            if resource is not None:
                sent = BudgetSpent(resource)
                continue
            self._open(running, requests)
            if running.open_tickets:
                return
            sent = self._collect(running)

    def _refusal(self, running: _Running, requests: Sequence[Request]) -> str | None:
        """Return the resource that these requests would overspend, None if they can be paid."""
        if running.search.budget == _UNLIMITED:
            return None
        replayed = running.replay.get(running.number)
        if replayed is not None and replayed.digest == _REFUSED:
            running.ledger.charge(_decoded(decode_usage, replayed))
            running.number += 1
            return "seconds"
        ledger = running.ledger
        samples = sum(r.n for r in requests if not isinstance(r, Score))
        if samples:
            reserve = max(r.reserve_tokens for r in requests if not isinstance(r, Score))
            left = ledger.policy_tokens_left(reserve)
            if left is not None and left < samples:
                return "policy_tokens"
        resource = ledger.lacks(
            calls=samples + sum(isinstance(r, Score) for r in requests),
            reward_tokens=self._reward_bound(running, requests),
            elapsed_s=0.0 if replayed is not None else running.elapsed_s(),
        )
        if resource == "seconds":
            self._refuse_by_clock(running, Usage())
        return resource

    def _refuse_by_clock(self, running: _Running, spent: Usage) -> None:
        """Journal a refusal that a replay could not work out again, and charge what it cost."""
        running.ledger.charge(spent)
        self._write([self._entry(running, running.number, _REFUSED, encode_usage(spent))])
        running.number += 1

    def _reward_bound(self, running: _Running, requests: Sequence[Request]) -> int:
        if self.reward is None or running.search.budget.reward_tokens is None:
            return 0
        return sum(self.reward.token_bound(r) for r in requests if isinstance(r, Score))

    def _open(self, running: _Running, requests: Sequence[Request]) -> None:
        """Answer a batch from the journal as far as it reaches, and submit the rest."""
        running.batch = self._stamp(running, requests)
        running.answers = [None] * len(requests)
        running.first_number = running.number
        running.number += len(requests)
        for position, request in enumerate(running.batch):
            entry = running.replay.pop(running.first_number + position, None)
            if entry is None:
                self._submit(running, position, request)
            else:
                if entry.digest != _digest(request):
                    raise JournalError(
                        f"the journal's answer {entry.number} of search {entry.search_id} was "
                        "given to another request; the run's settings or code have changed since: "
                        "use another folder"
                    )
                self.num_replayed += 1
                running.answers[position] = _decoded(partial(decode_answer, request), entry)

    def _stamp(self, running: _Running, requests: Sequence[Request]) -> list[Request]:
        """Return the requests with their seeds, and with token limits that the budget can pay."""
        search = running.search
        samples = sum(r.n for r in requests if not isinstance(r, Score))
        stamped: list[Request] = []
        for position, request in enumerate(requests):
            if isinstance(request, Score):
                stamped.append(request)
                continue
            seed = request.seed
            if seed is None:
                number = running.number + position
                seed = derive_seed(search.seed, search.problem.id, search.strategy, number)
            limit = request.max_tokens
            left = running.ledger.policy_tokens_left(request.reserve_tokens)
            if left is not None:
                limit = left // samples if limit is None else min(limit, left // samples)
            stamped.append(
                type(request)(  # `replace` would take ten times as long
                    request.prefix,
                    request.n,
                    request.temperature,
                    request.top_p,
                    limit,
                    request.reserve_tokens,
                    seed,
                )
            )
        return stamped

    def _submit(self, running: _Running, position: int, request: Request) -> None:
        if isinstance(request, Score):
            if self.reward is None:
                raise ValueError(
                    f"strategy {running.search.strategy!r} asks for scores and needs a reward model"
                )
            backend = self.reward
        else:
            backend = self.policy
        ticket = self._next_ticket
        self._next_ticket += 1
        self.num_asked += 1
        self._tickets[ticket] = _Ticket(running, position, backend)
        running.open_tickets.add(ticket)
        self._count(backend, 1)
        backend.submit(ticket, request)

    def _count(self, backend: Backend, change: int) -> None:
        for candidate, pending in self._pending:
            if candidate is backend:
                pending[0] += change

    def _poll(self) -> list[tuple[int, Answer | BackendError]]:
        """Return what the busy backends have answered."""
        busy = [backend for backend, pending in self._pending if pending[0]]
        if len(busy) == 1:
            return busy[0].poll(WAIT_S)
        wait_s = 0.0 if self._fruitless < FRUITLESS_POLLS else WAIT_S / 10
        ready: list[tuple[int, Answer | BackendError]] = []
        for backend in busy:
            try:
                ready += backend.poll(wait_s)
            except BackendDown:
                if (
                    not ready
                ):  # else serve what the other backend answered first; the next poll raises
                    raise
        self._fruitless = 0 if ready else self._fruitless + 1
        return ready

    def _serve(self, ready: Sequence[tuple[int, Answer | BackendError]]) -> None:
        """Journal all that was answered, then see to errors, then wake the programs whose batch is complete."""
        entries: list[Entry] = []
        served: list[_Running] = []
        errors: list[tuple[_Running, BackendError]] = []
        for ticket_id, answer in ready:
            ticket = self._close_ticket(ticket_id)
            if ticket is None:
                continue
            running = ticket.running
            if isinstance(answer, BackendError):
                errors.append((running, answer))
                continue
            if self.journal is not None:
                request = running.batch[ticket.position]
                number = running.first_number + ticket.position
                payload = encode_answer(request, answer)
                entries.append(self._entry(running, number, _digest(request), payload))
            running.answers[ticket.position] = answer
            if not running.open_tickets:
                served.append(running)
        self._write(entries)
        down = next((error for _, error in errors if isinstance(error, BackendDown)), None)
        if down is not None:
            raise down
        failed = {id(running): (running, error) for running, error in reversed(errors)}
        for running, error in failed.values():
            self._fail(running, error)
        for running in served:
            if id(running) in failed:
                continue
            self._advance(running, self._collect(running))
        self._stop_late()

    def _close_ticket(self, ticket_id: int) -> _Ticket | None:
        ticket = self._tickets.pop(ticket_id, None)
        if ticket is not None:
            ticket.running.open_tickets.discard(ticket_id)
            self._count(ticket.backend, -1)
        return ticket

    def _collect(self, running: _Running) -> list[Any]:
        """Charge a complete batch and return what the program is sent."""
        self._charge(running)
        sent = []
        for answer in running.answers:
            assert answer is not None, "a batch was collected before it was complete"
            sent.append(answer.items)
        return sent

    def _charge(self, running: _Running) -> None:
        """Charge what was answered of a batch."""
        for request, answer in zip(running.batch, running.answers):
            if answer is not None:
                known = running.reward_known if isinstance(request, Score) else running.policy_known
                running.ledger.charge(charge(request, answer, known))

    def _stop_late(self) -> None:
        """Cancel the requests of searches whose seconds are spent, and tell their programs."""
        for running in list(self._clocked.values()):
            limit = running.search.budget.seconds
            if limit is None or not running.open_tickets or running.elapsed_s() < limit:
                continue
            self._cancel(running)
            running.number = running.first_number
            answers = [answer for answer in running.answers if answer is not None]
            self._refuse_by_clock(running, sum((a.usage for a in answers), Usage()))
            self._advance(running, BudgetSpent("seconds"))

    def _cancel(self, running: _Running) -> None:
        for ticket_id in list(running.open_tickets):
            ticket = self._close_ticket(ticket_id)
            assert ticket is not None, "an open ticket is not registered"
            ticket.backend.cancel(ticket_id)

    def _fail(self, running: _Running, error: BackendError) -> None:
        self._cancel(running)
        running.program.close()
        self._charge(running)
        running.ledger.charge(
            Usage(policy_tokens=error.failed_tokens, failed_tokens=error.failed_tokens)
        )
        self._finish(running, Outcome(None, "failed"), str(error))

    def _finish(self, running: _Running, outcome: Outcome, error: str | None = None) -> None:
        search = running.search
        if outcome.stop_reason == "length" and running.ledger.policy_tokens_left() == 0:
            outcome = replace(outcome, stop_reason="budget")
        answer = outcome.answer
        if answer is None and outcome.trajectory is not None:
            answer = search.extract(outcome.trajectory.text)
        self._num_active -= 1
        self._clocked.pop(search.id, None)
        self._finished.append(
            SearchResult(
                search_id=search.id,
                strategy=search.strategy,
                options=search.options,
                problem_id=search.problem.id,
                seed=search.seed,
                answer=answer,
                outcome=outcome,
                tree=running.tree,
                usage=replace(running.ledger.spent, seconds=running.elapsed_s()),
                requests=running.number,
                error=error,
            )
        )

    def _take_finished(self) -> Iterator[SearchResult]:
        if self.journal is not None:
            self.journal.append_results(self._finished)
        while self._finished:
            yield self._finished.popleft()

    def _entry(self, running: _Running, number: int, digest: str, payload: Any) -> Entry:
        return Entry(running.search.id, number, digest, running.elapsed_s(), payload)

    def _write(self, entries: Sequence[Entry]) -> None:
        if self.journal is not None and entries:
            self.journal.append(entries)


_UNLIMITED = Budget()
_REFUSED = "refused"


def _decoded(decode: Callable[[Any], T], entry: Entry) -> T:
    """Return what a journaled payload stands for."""
    try:
        return decode(entry.payload)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise JournalError(
            f"the journal's answer {entry.number} of search {entry.search_id} is damaged "
            f"({error!r}); take the journal from a backup, or start again in another folder"
        ) from None


def _digest(request: Request) -> str:
    """Return what identifies a request; the problem and the strategy stand in the search's id."""
    if isinstance(request, Score):
        text = f"Score\x1e{request.trajectory.text}"
    else:
        text = (
            f"{type(request).__name__}\x1e{request.n}\x1e{request.temperature}\x1e{request.top_p}"
            f"\x1e{request.max_tokens}\x1e{request.seed}\x1e{request.prefix.text}"
        )
    return blake2b(text.encode(), digest_size=8).hexdigest()
