"""One search under way: its program, and the batch that it waits for."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError, StepnavError, one_line, what_it_did
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.requests import BudgetSpent, Program, Request
from stepnav.core.seeds import derive_seed
from stepnav.core.tree import Tree
from stepnav.run.batch import Batch
from stepnav.run.checks import check_outcome, check_requests
from stepnav.run.journal import Entry
from stepnav.run.search import Follower, Search
from stepnav.run.spending import Spending
from stepnav.run.transcript import Transcript

MAX_REFUSED = 1000
"""Refusals in a row after which a program is taken to ask for ever."""

logger = logging.getLogger("stepnav")


class RunningSearch:
    """A search under way: its program, and the batch of requests that it waits for.

    It refuses, stamps, charges and replays its own requests; whoever drives it hands over what
    `advance` returns and brings the answers to `take`.

    Args:
      search: what to run.
      models: name -> backend, for all that the strategy asks, or that the search puts in its place.
      entries: what the journal holds of this search.

    Attributes:
      result: None until the search has ended.
      models: name that the strategy asks -> backend.
      tickets: of its open requests, for its driver.
    """

    def __init__(
        self, search: Search, models: Mapping[str, Backend], entries: Sequence[Entry] = ()
    ) -> None:
        self.search = search
        self._follower = None if search.on_change is None else Follower(search.on_change)
        self.tree = Tree(search.problem, self._follower)
        self.result: SearchResult | None = None
        self.tickets: set[int] = set()
        self.models = {**models, **{name: models[own] for name, own in search.models.items()}}
        self._spending = Spending(search, self.models)
        self._transcript = Transcript(search.id, entries)
        self._num_requests = 0
        self._batch: Batch | None = None
        self._num_refused = 0
        self._is_clipped = False
        self._sent: list[Any] | BudgetSpent | None = None
        self._program: Program = _nothing()
        try:
            chance = derive_seed(search.seed, search.problem.id, search.strategy.name, "chance")
            self._program = search.strategy.start(self.tree, search.extract, chance)
            if not isinstance(self._program, Generator):
                raise TypeError(f"it must be a generator function (got {self._program!r:.80})")
        except StepnavError:
            raise
        except (Exception, SystemExit) as error:
            self._program = _nothing()
            self._break(error)

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is still to come."""
        return self._batch is not None and self._batch.num_open > 0

    @property
    def is_late(self) -> bool:
        """Whether its seconds are spent while it waits."""
        return self.is_waiting and self._has_no_time()

    def advance(self) -> tuple[list[tuple[int, Request]], list[Entry]]:
        """Go on until answers are needed or the search ends (`result`).

        Returns:
          What to hand over, as (number, request), and what to journal.
        Raises:
          ConfigError: it asks a model that the run has not.
          JournalError: the journal's answers do not fit.
        """
        entries: list[Entry] = []
        while self.result is None:
            batch = self._batch
            if batch is not None:
                if batch.waiting:
                    asked = batch.admit()
                    if asked:
                        return asked, entries
                if batch.num_open:
                    return [], entries
                self._sent, self._batch = batch.collect(), None
                self._is_clipped |= bool(batch.clipped)
            requests = self._resume()
            if requests is None:
                break
            try:
                resource = self._open(requests, entries)
            except (AssertionError, AttributeError, TypeError) as error:
                self.refuse(error)  # a model was asked what it cannot take
                break
            if resource is None:
                self._num_refused = 0
                continue
            self._sent = BudgetSpent(resource)
            self._num_refused += 1
            if self._num_refused > MAX_REFUSED:
                self._break(RuntimeError(f"it asks on although the {resource} are spent"))
        return [], entries

    def take(self, number: int, answer: Answer) -> None:
        """Take the answer to a request that waits."""
        assert self._batch is not None, "an answer came although nothing was asked"
        self._batch.take(number, answer)

    def entry(self, number: int, answer: Answer) -> Entry:
        """Return the answer to a request that waits as it is journaled."""
        assert self._batch is not None, "an answer came although nothing was asked"
        return self._batch.journaled(number, answer)

    def expire(self) -> list[Entry]:
        """Go on without the answers that are still open, because the seconds are spent."""
        assert self._batch is not None, "only what waits can be late"
        entries, is_of_use = self._batch.expire()
        if not is_of_use:
            self._batch = None
            self._sent = BudgetSpent("seconds")
        return entries

    def fail(self, error: BackendError) -> None:
        """End the search because one of its requests was given up on."""
        self.close()
        self.charge_answered()
        tokens = error.failed_tokens
        self._spending.ledger.charge(Usage(policy_tokens=tokens, failed_tokens=tokens))
        self._finish(Outcome(None, "failed"), str(error))
        assert self.result is not None, "a failed search has a result"
        self.result = replace(self.result, failure=error)

    def hurry(self) -> None:
        """Let its seconds be spent now."""
        self.search = replace(self.search, budget=replace(self.search.budget, seconds=0.0))
        self._spending.is_unlimited = False

    def refuse(self, error: Exception) -> None:
        """End the search because a model cannot take what its strategy asks."""
        self.close()
        self._break(error)

    def charge_answered(self) -> Usage:
        """Charge what was answered of the batch that it waits for, and return all it has spent."""
        if self._batch is not None:
            self._batch.charge_answered()
        return self._spent()

    def close(self) -> None:
        """Leave the search without a result."""
        try:
            self._program.close()
        except (Exception, SystemExit) as error:  # code that runs at the close
            logger.debug("strategy %s failed at its end", self.search.strategy.name, exc_info=error)

    def _resume(self) -> Sequence[Request] | None:
        """Run the program to its next batch; return None if it has ended."""
        sent, self._sent = self._sent, None
        try:
            if isinstance(sent, BudgetSpent):
                requests = self._program.throw(sent)
            elif sent is None:
                requests = next(self._program)
            else:
                requests = self._program.send(sent)
            check_requests(requests)
            return requests
        except StopIteration as stop:
            self._end(stop.value)
        except StepnavError:
            raise
        except (Exception, SystemExit) as error:
            self._break(error)
        return None

    def _open(self, requests: Sequence[Request], entries: list[Entry]) -> str | None:
        """Open a batch; return what it would overspend if nothing of it can be paid."""
        spending = self._spending
        if not spending.is_unlimited:
            resource = spending.lacks(requests) or self._lacks_time(entries)
            if resource is not None:
                return resource
        self._batch = Batch(
            requests,
            self.search,
            self._num_requests,
            spending=spending,
            transcript=self._transcript,
        )
        self._num_requests += len(requests)
        return None

    def _lacks_time(self, entries: list[Entry]) -> str | None:
        """Charge and note it if the clock refuses the next batch, now or when it was journaled."""
        spent = self._transcript.next_refusal()
        if spent is None:
            if self._transcript.is_behind or not self._has_no_time():
                return None
            spent = Usage()
            entries.append(self._transcript.refusal(spent))
        self._spending.ledger.charge(spent)
        return "seconds"

    def _has_no_time(self) -> bool:
        limit = self.search.budget.seconds
        return limit is not None and self._transcript.elapsed_s() >= limit

    def _end(self, outcome: Any) -> None:
        try:
            check_outcome(outcome)
            if self._is_clipped and outcome.stop_reason not in ("accepted", "failed"):
                outcome = replace(outcome, stop_reason="budget")
            self._finish(outcome)
        except StepnavError:
            raise
        except (Exception, SystemExit) as error:
            self._break(error)

    def _break(self, error: Exception | SystemExit) -> None:
        """End the search because code of its strategy or task raised an error, or exits.

        Raises:
          Exception, SystemExit: it is that of who follows the tree.
        """
        raised = None if self._follower is None else self._follower.error
        if raised is not None and raised in (error, error.__cause__):  # cause: of `StopIteration`
            raise error
        name = self.search.strategy.name
        logger.debug("strategy %s failed in search %s", name, self.search.id, exc_info=error)
        told = f"failed: {one_line(error)}"
        if isinstance(error, SystemExit):
            told = f"or its task's extract {what_it_did(error)}"
        self._finish(Outcome(None, "failed"), f"the strategy {name} {told}")

    def _finish(self, outcome: Outcome, error: str | None = None) -> None:
        search = self.search
        answer = outcome.answer
        if answer is None and outcome.trajectory is not None:
            answer = search.extract(outcome.trajectory.text)
        if not isinstance(answer, (str, type(None))):
            raise TypeError(f"an answer must be text or None (got {answer!r:.80})")
        self.result = SearchResult(
            search_id=search.id,
            strategy=search.strategy.name,
            options=search.strategy.options,
            problem_id=search.problem.id,
            seed=search.seed,
            answer=answer,
            outcome=outcome,
            tree=self.tree,
            usage=self._spent(),
            requests=self._transcript.number,
            error=error,
        )

    def _spent(self) -> Usage:
        return replace(self._spending.ledger.spent, seconds=self._transcript.elapsed_s())


def _nothing() -> Program:
    """Return a program that has ended."""
    yield from ()
    return Outcome(None, "failed")
