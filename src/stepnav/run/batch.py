"""The batch of requests that a search waits for, and the parts in which it is asked.

A batch that the budget surely pays for is asked whole. Else its samples, or scores, are asked one
by one, each as soon as what is left pays for the longest that it and the open ones can become, and
a sample, if none is open, with what is left as its limit. So no sample is cut that would have been
finished had they been drawn one after the other, and the budget is never exceeded; which ones
are drawn does not depend on the order of the answers. Samples that exclude each other
(`Sampling.without`) are then asked in rounds, each sample without those of the rounds before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, cast

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.requests import Ask, BudgetSpent, Clipped, PolicyRequest, Request, Score
from stepnav.core.seeds import derive_seed
from stepnav.run.journal import Entry
from stepnav.run.parts import Part, marked, stamped
from stepnav.run.search import Search
from stepnav.run.spending import Spending
from stepnav.run.transcript import CUT, REFUSED, Transcript


class Batch:
    """A batch on its way: what is still to be asked, what is open, and what was answered.

    Args:
      requests: what the program asks.
      search: whose they are; their seeds derive from it.
      first: how many requests it has asked before; splitting a batch does not change its draws.
      spending: pays for it.
      transcript: numbers its parts, and may know answers.

    Raises:
      ConfigError: it asks a model that the run has not.

    Attributes:
      clipped: positions of requests of which the budget left something out.
      num_open: parts that were handed over and not answered.
      waiting: parts that were not handed over yet.
    """

    __slots__ = (
        "_is_cut_short",
        "_is_whole",
        "_parts",
        "_requests",
        "_spending",
        "_transcript",
        "clipped",
        "num_open",
        "waiting",
    )

    def __init__(
        self,
        requests: Sequence[Request],
        search: Search,
        first: int,
        *,
        spending: Spending,
        transcript: Transcript,
    ) -> None:
        self._requests = requests
        self._spending = spending
        self._transcript = transcript
        self._is_cut_short = False
        self.clipped: set[int] = set()
        self._parts: dict[int, Part] = {}
        self.num_open = 0
        self._is_whole = spending.is_unlimited or spending.pays_surely(requests)
        self.waiting: deque[Part] = deque()
        for position, request in enumerate(requests):
            if request.model not in spending.models:
                raise spending.unknown_model(request)
            if isinstance(request, Score):
                self.waiting.append(Part(position, request, is_alone=not self._is_whole))
                continue
            seed = request.seed
            if seed is None:
                number = first + position
                seed = derive_seed(search.seed, search.problem.id, search.strategy.name, number)
            if self._is_whole:
                self.waiting.append(Part(position, stamped(request, request.n, 0, seed)))
            else:
                self.waiting += _samples(position, request, seed)
        if not self._is_whole:
            self.waiting = deque(sorted(self.waiting, key=lambda part: part.after))

    def admit(self) -> list[tuple[int, Request]]:
        """Return the parts to hand over now, with their numbers; answer those that are known."""
        asked: list[tuple[int, Request]] = []
        if self._is_whole and not self._transcript.known:  # the common case, quickly
            number = self._transcript.number
            for part in self.waiting:
                self._parts[number] = part
                asked.append((number, part.request))
                number += 1
            self._transcript.number = number
            self.num_open = len(asked)
            self.waiting.clear()
            return asked
        while self.waiting:
            part = self.waiting[0]
            if part.after:
                drawn = self._drawn_before(part)
                if drawn is None:
                    break
                if len(drawn) < part.after:  # nothing was left to draw then, and no more is now
                    self.waiting.popleft()
                    continue
                part.exclude(drawn)
            entry = self._transcript.next()
            # parts that were never asked have no entry; what stands there is the next batch's
            is_over = self._is_cut_short and (entry is None or entry.digest == REFUSED)
            if is_over or (part.is_alone and not self._spending.admits(part, self.num_open)):
                if is_over or not self.num_open:
                    self._clip()
                break
            self.waiting.popleft()
            number = self._transcript.take()
            if entry is not None and entry.digest == CUT:
                self._is_cut_short = True
                self.clipped.add(part.position)
                continue
            self._parts[number] = part
            self.num_open += 1
            if entry is None:
                asked.append((number, part.request))
            else:
                self.take(number, self._transcript.replayed(part.request, entry))
        return asked

    def take(self, number: int, answer: Answer) -> None:
        """Take the answer to a part."""
        part = self._parts[number]
        part.answer = answer
        self.num_open -= 1
        if part.is_alone:
            self._spending.settle(part, answer)

    def journaled(self, number: int, answer: Answer) -> Entry:
        """Return the answer to a part as it is journaled."""
        return self._transcript.answered(number, self._parts[number].request, answer)

    def collect(self) -> list[Any] | BudgetSpent:
        """Charge a batch without open parts, and return what the program is sent."""
        sent: list[Any] = [()] * len(self._requests)
        for part in self._parts.values():
            assert part.answer is not None, "a batch was collected before it was complete"
            items = part.answer.items
            if not part.is_alone:
                self._spending.charge(part.request, part.answer)
            else:
                if part.cap is not None:
                    items = tuple(marked(item, part) for item in items)
                if part.is_clipped(items):
                    self.clipped.add(part.position)
            sent[part.position] += tuple(items)
        if not self.clipped:
            return sent
        if isinstance(self._requests[0], Score):
            num_paid = min(self.clipped)
            resource = self._spending.lacks(self._requests[num_paid:]) or "seconds"
            return BudgetSpent(resource, sent[:num_paid])
        return [Clipped(s) if place in self.clipped else s for place, s in enumerate(sent)]

    def charge_answered(self) -> None:
        """Charge what was answered of a batch that is left, and is not charged yet."""
        for part in self._parts.values():
            if part.answer is not None and not part.is_alone:
                self._spending.charge(part.request, part.answer)

    def expire(self) -> tuple[list[Entry], bool]:
        """Go on without the answers that are still open, because the seconds are spent.

        Returns:
          What to journal; and whether the batch is of use: something of it was answered.
        """
        missing = [number for number, part in self._parts.items() if part.answer is None]
        self.num_open = 0
        self._spending.leave_open()
        if len(missing) < len(self._parts):
            self.clipped |= {self._parts.pop(number).position for number in missing}
            self._clip()
            return [self._transcript.cut(number) for number in missing], True
        self.waiting.clear()
        self._transcript.number = min(self._parts)
        return [self._transcript.refusal(Usage())], False

    def _clip(self) -> None:
        """Leave what waits, as nothing is left to pay for it."""
        for part in self.waiting:
            if not part.after or len(self._drawn_before(part) or ()) >= part.after:
                self.clipped.add(part.position)
        self.waiting.clear()

    def _drawn_before(self, part: Part) -> list[Any] | None:
        """Return the samples of the same request so far, None while one of them is open."""
        answers = [own.answer for own in self._parts.values() if own.position == part.position]
        if None in answers:
            return None
        return [item for answer in answers for item in cast(Answer, answer).items]


def _samples(position: int, request: PolicyRequest, seed: int) -> list[Part]:
    """Return the parts of a request whose samples are asked one by one."""
    excludes = request.sampling.without is not None and not isinstance(request, Ask)
    return [
        Part(
            position,
            stamped(request, 1, index, seed),
            is_alone=True,
            after=index if excludes else 0,
        )
        for index in range(request.n)
    ]
