"""What one search may spend on its models, and what it has spent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from stepnav.core.backend import Answer, Backend
from stepnav.core.budget import Budget, Ledger
from stepnav.core.errors import ConfigError
from stepnav.core.requests import Ask, Complete, PolicyRequest, Propose, Request, Score
from stepnav.run.accounting import KnownPrefixes, charge
from stepnav.run.parts import Part
from stepnav.run.search import Search

UNLIMITED = Budget()


class Spending:
    """One search's ledger, with the models that it pays.

    Args:
      search: whose budget it is.
      models: name -> backend.

    Attributes:
      ledger: the budget and what is spent of it.
      is_unlimited: whether it can pay whatever is asked.
    """

    __slots__ = ("_committed_tokens", "_known", "_strategy", "is_unlimited", "ledger", "models")

    def __init__(self, search: Search, models: Mapping[str, Backend]) -> None:
        self.ledger = Ledger(search.budget)
        self.is_unlimited = search.budget == UNLIMITED
        self._strategy = search.strategy.name
        self.models = models
        self._known = defaultdict[str, KnownPrefixes](KnownPrefixes)
        self._committed_tokens = 0  # to what is asked and not answered

    def lacks(self, batch: Sequence[Request]) -> str | None:
        """Return what a batch would overspend, None if some of it can be paid; seconds left out."""
        draws, scores = _sorts(batch)
        if draws:
            left = self.ledger.policy_tokens_left(max(draw.reserve_tokens for draw in draws))
            if left is not None and left < 1:
                return "policy_tokens"
        tokens = 0
        if scores and self.ledger.budget.reward_tokens is not None:
            tokens = self._bound(scores[0])
        return self.ledger.lacks(calls=1, reward_tokens=tokens, elapsed_s=0.0)

    def pays_surely(self, batch: Sequence[Request]) -> bool:
        """Whether the budget pays for a batch of one sort, however long its samples become."""
        draws, scores = _sorts(batch)
        if self.ledger.budget.calls is not None and any(map(_may_repeat, draws)):
            return False
        if self._lacks_calls(sum(draw.n for draw in draws) + len(scores)):
            return False
        lefts = [left for left in map(self._left, batch) if left is not None]
        return not lefts or sum(map(self._bound, batch)) <= min(lefts)

    def admits(self, part: Part, num_open: int) -> bool:
        """Whether a sample or a score can be asked now, beside the open ones admitted before.

        What is left must pay for the longest that it and the open ones can become. If none is open,
        what is left becomes a sample's limit. One that may be drawn again waits until none is open:
        the calls that are left are its limit too.
        """
        request = part.request
        if self._lacks_calls(num_open + 1):
            return False
        calls = self.ledger.budget.calls
        if calls is not None and _may_repeat(request):
            if num_open:
                return False
            part.request = request = _limited(request, max_draws=calls - self.ledger.spent.calls)
        left = self._left(request)
        if left is None:
            return True
        part.bound = self._bound(request)
        if part.bound > left - self._committed_tokens:
            if num_open or left < 1 or isinstance(request, Score):
                return False
            part.bound = part.cap = left
            part.request = _limited(request, max_tokens=left)
        self._committed_tokens += part.bound
        return True

    def settle(self, part: Part, answer: Answer) -> None:
        """Charge what was admitted by itself and is answered now."""
        self.charge(part.request, answer)
        self._committed_tokens -= part.bound

    def leave_open(self) -> None:
        """Forget what was admitted and not answered."""
        self._committed_tokens = 0

    def charge(self, request: Request, answer: Answer) -> None:
        """Charge what was answered."""
        self.ledger.charge(charge(request, answer, self._known[request.model]))

    def unknown_model(self, request: Request) -> ConfigError:
        """Return what is wrong with a request to a model that the run has not."""
        hint = "; it needs a reward model" if isinstance(request, Score) else ""
        return ConfigError(
            f"the strategy {self._strategy} asks the model {request.model!r}, and "
            f"this run has only {', '.join(self.models) or 'none'}{hint}"
        )

    def _bound(self, request: Request) -> int:
        backend = self.models.get(request.model)
        if backend is None:
            raise self.unknown_model(request)
        bound = backend.token_bound(request)
        if isinstance(request, Score):  # it pays for no prefix twice
            bound -= self._known[request.model].longest(request.trajectory.steps)
        return bound

    def _left(self, request: Request) -> int | None:
        """Return how many tokens of its kind may still be spent; None is unlimited."""
        if isinstance(request, Score):
            return self.ledger.reward_tokens_left()
        return self.ledger.policy_tokens_left(request.reserve_tokens)

    def _lacks_calls(self, calls: int) -> bool:
        return self.ledger.lacks(calls=calls, reward_tokens=0, elapsed_s=0.0) == "calls"


def _may_repeat(request: Request) -> TypeGuard[Propose | Complete]:
    """Return whether a policy that cannot exclude may draw a sample more than once."""
    if isinstance(request, (Score, Ask)):
        return False
    return request.sampling.without is not None and request.sampling.temperature > 0


def _limited(request: PolicyRequest, **limits: Any) -> PolicyRequest:
    return replace(request, sampling=replace(request.sampling, **limits))


def _sorts(batch: Sequence[Request]) -> tuple[list[PolicyRequest], list[Score]]:
    """Return a batch's draws and its scores."""
    draws = [request for request in batch if not isinstance(request, Score)]
    return draws, [request for request in batch if isinstance(request, Score)]
