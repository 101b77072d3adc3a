"""One search under way: its program, with its budget, charges and replay."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from stepnav.core.backend import Answer, Backend
from stepnav.core.budget import Ledger, Usage
from stepnav.core.codec import decode_answer, decode_usage, encode_answer, encode_usage
from stepnav.core.errors import BackendError, ConfigError, JournalError, StepnavError, one_line
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.requests import (
    BudgetSpent,
    PolicyRequest,
    Program,
    Request,
    Score,
)
from stepnav.core.seeds import derive_seed
from stepnav.core.tree import Tree
from stepnav.run.accounting import KnownPrefixes, charge
from stepnav.run.journal import Entry
from stepnav.run.parts import (
    Part,
    check_outcome,
    check_requests,
    decoded,
    digest_of,
    marked,
    stamped,
)
from stepnav.run.search import UNLIMITED, Search

MAX_REFUSED = 1000
"""Refusals in a row after which a program is taken to ask for ever."""

_REFUSED = "refused"
_CUT = "cut"
"""Digests of what the clock did, which a replay could not work out again.

refused: a whole batch; cut: one part of a batch of which other parts were answered. A batch with a
cut part has no parts but those that the journal names.
"""

logger = logging.getLogger("stepnav")


class RunningSearch:
    """A search under way: its program, and the batch of requests that it waits for.

    It refuses, stamps, charges and replays its own requests; whoever drives it hands over what
    `advance` returns and brings the answers to `take`.

    A batch that the token budget surely pays for is asked whole. Else its samples are asked one by
    one, each as soon as what is left pays for the longest that it and the open ones can become, and
    if none is open, with what is left as its limit. So no sample is cut that would have been
    finished had they been drawn one after the other, and the budget is never exceeded; which ones
    are drawn does not depend on the order of the answers.

    Args:
      search: what to run.
      models: name -> backend, for all that the strategy asks.
      entries: what the journal holds of this search.
    """

    def __init__(
        self, search: Search, models: Mapping[str, Backend], entries: Sequence[Entry] = ()
    ) -> None:
        self.search = search
        self.tree = Tree(search.problem, search.on_change)
        self.ledger = Ledger(search.budget)
        self.result: SearchResult | None = None
        self.tickets: set[int] = set()  # of its driver
        self._models = models
        self._replay = {entry.number: entry for entry in entries}
        self._began = time.monotonic() - max((entry.elapsed_s for entry in entries), default=0.0)
        self._known: dict[str, KnownPrefixes] = {}
        self._number = 0  # of the next part
        self._seed_number = 0  # of the next request: splitting a batch does not change its draws
        self._batch: Sequence[Request] = ()
        self._waiting: deque[Part] = deque()
        self._parts: dict[int, Part] = {}
        self._num_open = 0
        self._committed_tokens = 0
        self._is_whole = True
        self._is_cut_short = False
        self._num_refused = 0
        self._is_unlimited = search.budget == UNLIMITED
        self._sent: list[Any] | BudgetSpent | None = None
        self._program: Program = _nothing()
        try:
            chance = derive_seed(search.seed, search.problem.id, search.strategy.name, "chance")
            self._program = search.strategy.start(self.tree, search.extract, chance)
            if not isinstance(self._program, Generator):
                raise TypeError(f"it must be a generator function (got {self._program!r:.80})")
        except (StepnavError, OSError):
            raise
        except Exception as error:
            self._program = _nothing()
            self._break(error)

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is still to come."""
        return self._num_open > 0

    @property
    def is_late(self) -> bool:
        """Whether its seconds are spent while it waits."""
        limit = self.search.budget.seconds
        return limit is not None and self.is_waiting and self.elapsed_s() >= limit

    def elapsed_s(self) -> float:
        """Return the seconds since it began, earlier runs included."""
        return time.monotonic() - self._began

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
            asked = self._admit() if self._waiting else []
            if asked or self._num_open:
                return asked, entries
            if self._batch:
                self._sent = self._collect()
            if not self._resume():
                break
            try:
                resource = self._refusal(entries)
                if resource is None:
                    self._num_refused = 0
                    self._open()
                    continue
            except (AssertionError, AttributeError, TypeError) as error:
                self.refuse(error)  # a model was asked what it cannot take
                break
            self._batch = ()
            self._sent = BudgetSpent(resource)
            self._num_refused += 1
            if self._num_refused > MAX_REFUSED:
                self._break(RuntimeError(f"it asks on although the {resource} are spent"))
        return [], entries

    def take(self, number: int, answer: Answer) -> None:
        """Take the answer to a part."""
        self._close(self._parts[number], answer)

    def entry(self, number: int, answer: Answer) -> Entry:
        """Return the answer to a part as it is journaled."""
        request = self._parts[number].request
        return self._entry(number, digest_of(request), encode_answer(request, answer))

    def expire(self) -> list[Entry]:
        """Go on without the answers that are still open, because the seconds are spent.

        Samples that are there reach the program; scores are of use only if all are there.
        """
        missing = [number for number, part in self._parts.items() if part.answer is None]
        has_samples = len(missing) < len(self._parts)
        self._waiting.clear()
        self._num_open = self._committed_tokens = 0
        if has_samples and not any(isinstance(request, Score) for request in self._batch):
            for number in missing:
                del self._parts[number]
            return [self._entry(number, _CUT, None) for number in missing]
        self._number = min(self._parts)
        answers = [p.answer for p in self._parts.values() if p.answer and not self._is_paid(p)]
        self._parts, self._batch = {}, ()
        self._sent = BudgetSpent("seconds")
        return [self._refuse_by_clock(sum((answer.usage for answer in answers), Usage()))]

    def fail(self, error: BackendError) -> None:
        """End the search because one of its requests was given up on."""
        self.close()
        self._charge()
        tokens = error.failed_tokens
        self.ledger.charge(Usage(policy_tokens=tokens, failed_tokens=tokens))
        self._finish(Outcome(None, "failed"), str(error))

    def close(self) -> None:
        """Leave the search without a result."""
        try:
            self._program.close()
        except Exception as error:  # code of the strategy that runs while it is closed
            logger.debug("strategy %s failed at its end", self.search.strategy.name, exc_info=error)

    def _resume(self) -> bool:
        """Run the program to its next batch; return False if it has ended."""
        sent, self._sent = self._sent, None
        try:
            if isinstance(sent, BudgetSpent):
                self._batch = self._program.throw(sent)
            elif sent is None:
                self._batch = next(self._program)
            else:
                self._batch = self._program.send(sent)
            check_requests(self._batch)
        except StopIteration as stop:
            self._end(stop.value)
            return False
        except (StepnavError, OSError):  # not the program's own: from what follows its tree
            raise
        except Exception as error:
            self._break(error)
            return False
        return True

    def _end(self, outcome: Any) -> None:
        try:
            if not isinstance(outcome, Outcome):
                raise TypeError(f"it must return an Outcome (got {outcome!r:.80})")
            check_outcome(outcome)
            self._finish(outcome)
        except (StepnavError, OSError):
            raise
        except Exception as error:
            self._break(error)

    def refuse(self, error: Exception) -> None:
        """End the search because a model cannot take what its strategy asks."""
        self.close()
        self._break(error)

    def _break(self, error: Exception) -> None:
        """End the search because code of its strategy or task raised an error."""
        name = self.search.strategy.name
        logger.debug("strategy %s failed in search %s", name, self.search.id, exc_info=error)
        self._finish(Outcome(None, "failed"), f"the strategy {name} failed: {one_line(error)}")

    def _refusal(self, entries: list[Entry]) -> str | None:
        """Return the resource that the batch would overspend, None if some of it can be paid."""
        if self._is_unlimited:
            return None
        draws = [request for request in self._batch if not isinstance(request, Score)]
        scores = [request for request in self._batch if isinstance(request, Score)]
        if draws:
            reserve = max(request.reserve_tokens for request in draws)
            left = self.ledger.policy_tokens_left(reserve)
            if left is not None and left < 1:
                return "policy_tokens"
        calls, tokens = len(scores) or 1, self._reward_bound(scores)
        resource = self.ledger.lacks(calls=calls, reward_tokens=tokens, elapsed_s=0.0)
        if resource is not None:
            return resource
        replayed = self._replay.get(self._number)
        if replayed is not None and replayed.digest == _REFUSED:
            self.ledger.charge(decoded(decode_usage, replayed))
            self._number += 1
            return "seconds"
        # what the journal holds from here on was asked in time
        was_asked = max(self._replay, default=-1) >= self._number
        limit = self.search.budget.seconds
        if limit is None or was_asked or self.elapsed_s() < limit:
            return None
        entries.append(self._refuse_by_clock(Usage()))
        return "seconds"

    def _refuse_by_clock(self, spent: Usage) -> Entry:
        """Charge what a refusal cost, and return it for the journal."""
        self.ledger.charge(spent)
        entry = self._entry(self._number, _REFUSED, encode_usage(spent))
        self._number += 1
        return entry

    def _reward_bound(self, scores: Sequence[Score]) -> int:
        if self.search.budget.reward_tokens is None:
            return 0
        return sum(self._backend(request).token_bound(request) for request in scores)

    def _backend(self, request: Request) -> Backend:
        backend = self._models.get(request.model)
        if backend is None:
            hint = "; it needs a reward model" if isinstance(request, Score) else ""
            raise ConfigError(
                f"the strategy {self.search.strategy.name} asks the model {request.model!r}, and "
                f"this run has only {', '.join(self._models) or 'none'}{hint}"
            )
        return backend

    def _open(self) -> None:
        """Give the batch its seeds, and put its parts in line."""
        search = self.search
        self._is_whole = self._is_unlimited or self._is_surely_paid()
        self._is_cut_short = False
        for position, request in enumerate(self._batch):
            self._backend(request)
            if isinstance(request, Score):
                self._waiting.append(Part(position, request))
                continue
            seed = request.seed
            if seed is None:
                number = self._seed_number + position
                seed = derive_seed(search.seed, search.problem.id, search.strategy.name, number)
            if self._is_whole:
                self._waiting.append(Part(position, stamped(request, request.n, 0, seed)))
            else:
                self._waiting.extend(
                    Part(position, stamped(request, 1, index, seed)) for index in range(request.n)
                )
        self._seed_number += len(self._batch)

    def _is_surely_paid(self) -> bool:
        """Whether the budget pays for the batch however long its samples become."""
        draws = [request for request in self._batch if not isinstance(request, Score)]
        if not draws:
            return True
        left = self.ledger.policy_tokens_left(max(request.reserve_tokens for request in draws))
        calls = sum(request.n for request in draws) + len(self._batch) - len(draws)
        if self.ledger.lacks(calls=calls, reward_tokens=0, elapsed_s=0.0) == "calls":
            return False
        if left is None:
            return True
        return sum(self._backend(r).token_bound(r) for r in draws) <= left

    def _admit(self) -> list[tuple[int, Request]]:
        """Return the parts to hand over now; answer those that the journal knows."""
        asked: list[tuple[int, Request]] = []
        if self._is_whole and not self._replay:  # the common case, quickly
            for number, part in enumerate(self._waiting, self._number):
                self._parts[number] = part
                asked.append((number, part.request))
            self._number += len(asked)
            self._num_open += len(asked)
            self._waiting.clear()
            return asked
        while self._waiting:
            part = self._waiting[0]
            entry = self._replay.get(self._number)
            # parts that were never asked have no entry; what stands there is the next batch's
            is_over = self._is_cut_short and (entry is None or entry.digest == _REFUSED)
            if is_over or (self._is_paid(part) and not self._can_pay(part)):
                if is_over or not self._num_open:
                    self._waiting.clear()  # nothing is left for the rest of the batch
                break
            self._waiting.popleft()
            number = self._number
            self._number += 1
            self._replay.pop(number, None)
            if entry is not None and entry.digest == _CUT:
                self._is_cut_short = True
                continue
            self._parts[number] = part
            self._num_open += 1
            if entry is None:
                asked.append((number, part.request))
            else:
                self._close(part, self._replayed(part.request, entry))
        return asked

    def _can_pay(self, part: Part) -> bool:
        """Whether a sample can be asked now; sets its cap if the budget is what limits it."""
        request = cast(PolicyRequest, part.request)
        if self.ledger.lacks(calls=self._num_open + 1, reward_tokens=0, elapsed_s=0.0) == "calls":
            return False
        left = self.ledger.policy_tokens_left(request.reserve_tokens)
        if left is None:
            return True
        bound = self._backend(request).token_bound(request)
        if bound <= left - self._committed_tokens:
            self._committed_tokens += bound
            return True
        if self._num_open or left < 1:
            return False
        sampling = request.sampling
        limited = replace(sampling, max_tokens=left)
        part.request = replace(request, sampling=limited)
        part.cap = left
        self._committed_tokens += left
        return True

    def _replayed(self, request: Request, entry: Entry) -> Answer:
        """Return a journaled answer."""
        if entry.digest != digest_of(request):
            raise JournalError(
                f"the journal's answer {entry.number} of search {entry.search_id} was given to "
                "another request; the run's settings or code have changed since: use another folder"
            )
        return decoded(partial(decode_answer, request), entry)

    def _is_paid(self, part: Part) -> bool:
        """Whether a part is paid by itself, since what is left decides which samples follow."""
        return not self._is_whole and not isinstance(part.request, Score)

    def _close(self, part: Part, answer: Answer) -> None:
        part.answer = answer
        self._num_open -= 1
        if not self._is_whole and self._is_paid(part):
            self._charge_part(part)
            if self.ledger.budget.policy_tokens is not None:
                bound = part.cap or self._backend(part.request).token_bound(part.request)
                self._committed_tokens -= bound

    def _collect(self) -> list[Any]:
        """Charge a complete batch and return what the program is sent."""
        self._charge()
        sent: list[Any] = [()] * len(self._batch)
        for part in self._parts.values():
            assert part.answer is not None, "a batch was collected before it was complete"
            items = part.answer.items
            if part.cap is not None:
                items = tuple(marked(item, part) for item in items)
            sent[part.position] += tuple(items)
        self._parts, self._batch = {}, ()
        return sent

    def _charge(self) -> None:
        """Charge what was answered of a batch and is not charged yet."""
        for part in self._parts.values():
            if part.answer is not None and (self._is_whole or not self._is_paid(part)):
                self._charge_part(part)

    def _charge_part(self, part: Part) -> None:
        assert part.answer is not None, "only what was answered is charged"
        known = self._known.get(part.request.model)
        if known is None:
            known = self._known[part.request.model] = KnownPrefixes()
        self.ledger.charge(charge(part.request, part.answer, known))

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
            usage=replace(self.ledger.spent, seconds=self.elapsed_s()),
            requests=self._number,
            error=error,
        )

    def _entry(self, number: int, digest: str, payload: Any) -> Entry:
        return Entry(self.search.id, number, digest, self.elapsed_s(), payload)


def _nothing() -> Program:
    """Return a program that has ended."""
    yield from ()
    return Outcome(None, "failed")
