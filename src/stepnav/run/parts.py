"""Parts of a batch: what is asked at once, and how it is stamped, marked and recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Union, cast

from stepnav.core.backend import Answer
from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import (
    POLICY,
    REWARD,
    Ask,
    Complete,
    PolicyRequest,
    Propose,
    Request,
    Score,
)


@dataclass(slots=True)
class Part:
    """What is asked of a backend at once: a request of a batch, or one of its samples.

    Attributes:
      position: of the request in its batch.
      request: with seed and limit, as the backend gets it.
      cap: its limit in tokens, if that comes from the budget.
      answer: None until it is there.
      is_alone: whether it is one sample or score, paid by itself, because what is left then decides
        which follow.
      after: how many samples of its request it must not draw again.
      bound: while it is open and paid by itself, what it may cost at most.
    """

    position: int
    request: Request
    cap: int | None = None
    answer: Answer | None = None
    is_alone: bool = False
    after: int = 0
    bound: int = 0

    def is_clipped(self, items: Sequence[Any]) -> bool:
        """Return whether a limit that comes from the budget cut its one sample, or left none new.

        Nothing says that nothing was left to draw only if it could have cost more.
        """
        if isinstance(self.request, Score) or self.answer is None:
            return False
        if items:
            return getattr(items[-1], "finish", None) == "budget"
        usage, max_draws = self.answer.usage, self.request.sampling.max_draws
        is_full = self.cap is not None and usage.policy_tokens >= self.cap
        return is_full or (max_draws is not None and usage.policy_calls >= max_draws)

    def exclude(self, items: Sequence[Step | Trajectory]) -> None:
        """Ask for no step that the samples before it begin with."""
        request = cast(Union[Propose, Complete], self.request)
        depth = len(request.prefix.steps)
        steps = (item if isinstance(item, Step) else item.steps[depth] for item in items)
        without = (*(request.sampling.without or ()), *steps)
        self.request = replace(request, sampling=replace(request.sampling, without=without))
        self.after = 0


def stamped(request: PolicyRequest, n: int, first: int, seed: int) -> PolicyRequest:
    """Return a request for some of its samples, with its seed; `replace` is ten times slower."""
    return type(request)(
        request.messages if isinstance(request, Ask) else request.prefix,  # type: ignore[arg-type]
        n,
        request.sampling,
        request.reserve_tokens,
        seed,
        request.first + first,
        request.model,
    )


def marked(item: Any, part: Part) -> Any:
    """Return a sample, said to be cut by the budget if it filled what the budget left for it."""
    assert part.cap is not None, "only the budget's limits are marked"
    if not isinstance(item, Trajectory):
        # known tokens that a step begins with may cost nothing, and count to its limit
        num_tokens = len(item.draw.tokens) if isinstance(item, Step) and item.draw else 0
        is_cut = item.finish == "length" and max(num_tokens, item.num_tokens) >= part.cap
        return replace(item, finish="budget") if is_cut else item
    new = item.steps[len(cast(Complete, part.request).prefix.steps) :]
    if not new or new[-1].finish != "length" or sum(s.num_tokens for s in new) < part.cap:
        return item
    return Trajectory(item.problem, (*item.steps[:-1], replace(new[-1], finish="budget")))


def digest_of(request: Request) -> str:
    """Return what identifies a request; the problem and the strategy stand in the search's id."""
    if isinstance(request, Score):
        text = f"Score\x1e{request.trajectory.text}"
        own = request.model == REWARD
    else:
        sampling = request.sampling
        text = (
            f"{type(request).__name__}\x1e{request.n}\x1e{sampling.temperature}\x1e{sampling.top_p}"
            f"\x1e{sampling.max_tokens}\x1e{request.seed}\x1e"
            + (repr(request.messages) if isinstance(request, Ask) else request.prefix.text)
        )
        if sampling.without is not None:
            drawn = "\x1f".join(step.text for step in sampling.without)
            text += f"\x1e{sampling.later_temperature}\x1e{drawn}"
        own = request.model == POLICY and request.first == 0
        if not own:
            text += f"\x1e{request.first}"
    if not own:
        text += f"\x1e{request.model}"
    return blake2b(text.encode(), digest_size=8).hexdigest()
