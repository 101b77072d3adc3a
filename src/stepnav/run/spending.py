"""What one search may spend on its models, and what it has spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from stepnav.core.backend import Answer, Backend
from stepnav.core.budget import Budget, Ledger
from stepnav.core.errors import ConfigError
from stepnav.core.requests import PolicyRequest, Request, Score
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
        self._known: dict[str, KnownPrefixes] = {}
        self._committed_tokens = 0  # of samples that are asked and not answered

    def lacks(self, batch: Sequence[Request]) -> str | None:
        """Return what a batch would overspend, None if some of it can be paid; seconds left out."""
        draws, scores = _sorts(batch)
        if draws:
            left = self.ledger.policy_tokens_left(max(draw.reserve_tokens for draw in draws))
            if left is not None and left < 1:
                return "policy_tokens"
        tokens = 0
        if self.ledger.budget.reward_tokens is not None:
            tokens = sum(self._bound(request) for request in scores)
        return self.ledger.lacks(calls=len(scores) or 1, reward_tokens=tokens, elapsed_s=0.0)

    def pays_surely(self, batch: Sequence[Request]) -> bool:
        """Whether the budget pays for a batch however long its samples become."""
        draws, scores = _sorts(batch)
        if self.is_unlimited or not draws:
            return True
        if self._lacks_calls(sum(draw.n for draw in draws) + len(scores)):
            return False
        left = self.ledger.policy_tokens_left(max(draw.reserve_tokens for draw in draws))
        return left is None or sum(self._bound(draw) for draw in draws) <= left

    def admits(self, part: Part, num_open: int) -> bool:
        """Whether a sample can be asked now, beside the open ones that were admitted before.

        What is left must pay for the longest that it and the open ones can become. If none is open,
        what is left becomes its limit.
        """
        request = cast(PolicyRequest, part.request)
        if self._lacks_calls(num_open + 1):
            return False
        left = self.ledger.policy_tokens_left(request.reserve_tokens)
        if left is None:
            return True
        bound = self._bound(request)
        if bound > left - self._committed_tokens:
            if num_open or left < 1:
                return False
            bound = part.cap = left
            part.request = replace(request, sampling=replace(request.sampling, max_tokens=left))
        self._committed_tokens += bound
        return True

    def settle(self, part: Part, answer: Answer) -> None:
        """Charge a sample that was admitted by itself and is answered now."""
        self.charge(part.request, answer)
        if self.ledger.budget.policy_tokens is not None:
            self._committed_tokens -= part.cap or self._bound(part.request)

    def leave_open(self) -> None:
        """Forget the samples that were admitted and not answered."""
        self._committed_tokens = 0

    def charge(self, request: Request, answer: Answer) -> None:
        """Charge what was answered."""
        known = self._known.get(request.model)
        if known is None:
            known = self._known[request.model] = KnownPrefixes()
        self.ledger.charge(charge(request, answer, known))

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
        return backend.token_bound(request)

    def _lacks_calls(self, calls: int) -> bool:
        return self.ledger.lacks(calls=calls, reward_tokens=0, elapsed_s=0.0) == "calls"


def _sorts(batch: Sequence[Request]) -> tuple[list[PolicyRequest], list[Score]]:
    """Return a batch's draws and its scores."""
    draws = [request for request in batch if not isinstance(request, Score)]
    return draws, [request for request in batch if isinstance(request, Score)]
