"""What a search may spend and what it has spent.

Policy and reward are counted apart. A budget limits generated policy tokens, newly encoded reward
tokens, calls and seconds; prompt tokens are counted too, and stand in the FLOPs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from stepnav.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Usage:
    """Amounts spent; usages add up.

    Attributes:
      policy_calls: sampled sequences (a request for n samples is n calls, and one more each time
        that one was drawn again because it was known).
      policy_prompt_tokens: prompt and prefix tokens of those calls, cached ones included.
      policy_cached_tokens: the part of them that was not encoded again.
      policy_tokens: generated tokens, those of discarded and failed work included.
      failed_tokens: the part of `policy_tokens` that was lost with failed requests.
      reward_calls: scored trajectories.
      reward_tokens: tokens that the reward model really processed.
      reward_cached_tokens: tokens of the scored trajectories that it did not process again.
      seconds: wall-clock seconds; for one request, from hand-over to answer.
      flops: 2 x parameters x processed tokens, both models; None if a model's size is unknown.
    """

    policy_calls: int = 0
    policy_prompt_tokens: int = 0
    policy_cached_tokens: int = 0
    policy_tokens: int = 0
    failed_tokens: int = 0
    reward_calls: int = 0
    reward_tokens: int = 0
    reward_cached_tokens: int = 0
    seconds: float = 0.0
    flops: int | None = 0

    def __add__(self, other: Usage) -> Usage:
        """Return the sum; unknown FLOPs stay unknown."""
        return Usage.total((self, other))

    @staticmethod
    def total(usages: Sequence[Usage]) -> Usage:
        """Return the sum of usages; unknown FLOPs stay unknown."""
        *counts, flops = zip(*map(_AMOUNTS, usages))
        amounts: list[Any] = [*map(sum, counts), None if None in flops else sum(flops)]
        return Usage(*amounts)

    @property
    def calls(self) -> int:
        """Policy and reward calls together."""
        return self.policy_calls + self.reward_calls


_AMOUNTS = attrgetter(*(field.name for field in fields(Usage)))


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits set before a search; None is unlimited.

    Attributes:
      policy_tokens: generated policy tokens.
      reward_tokens: tokens processed by the reward model.
      calls: policy and reward calls together.
      seconds: wall-clock seconds from the search's first request.
    """

    policy_tokens: int | None = None
    reward_tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None and not value >= 0:  # also catches NaN
                raise ConfigError(
                    f"budget {limit.name} must be a number of at least 0 (got {value}); "
                    "leave it out for no limit"
                )


@dataclass(slots=True)
class Ledger:
    """One search's budget and what it has spent so far."""

    budget: Budget
    _charged: list[Usage] = field(default_factory=lambda: [Usage()])

    @property
    def spent(self) -> Usage:
        """All that was charged; added up when somebody asks, so that no budget costs nothing."""
        if len(self._charged) > 1:
            self._charged = [Usage.total(self._charged)]
        return self._charged[0]

    def charge(self, usage: Usage) -> None:
        """Add what a request has cost."""
        self._charged.append(usage)

    def policy_tokens_left(self, reserve_tokens: int = 0) -> int | None:
        """Return how many policy tokens may still be generated; None is unlimited."""
        if self.budget.policy_tokens is None:
            return None
        return max(0, self.budget.policy_tokens - self.spent.policy_tokens - reserve_tokens)

    def reward_tokens_left(self) -> int | None:
        """Return how many reward tokens may still be processed; None is unlimited."""
        if self.budget.reward_tokens is None:
            return None
        return self.budget.reward_tokens - self.spent.reward_tokens

    def lacks(self, *, calls: int, reward_tokens: int, elapsed_s: float) -> str | None:
        """Return the first resource that such a request would overspend, None if all suffice."""
        budget, spent = self.budget, self.spent
        if budget.calls is not None and spent.calls + calls > budget.calls:
            return "calls"
        if (
            budget.reward_tokens is not None
            and spent.reward_tokens + reward_tokens > budget.reward_tokens
        ):
            return "reward_tokens"
        if budget.seconds is not None and elapsed_s >= budget.seconds:
            return "seconds"
        return None
