"""Drawing without replacement where a policy cannot exclude what was drawn: by drawing again.

What is new among repeated draws is distributed as an exact draw from what is left is. But each
repetition costs, so there are few, and they share the token limit of the sample that they replace;
where all give known texts, the sample is left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import Ask, Complete, PolicyRequest
from stepnav.core.seeds import derive_seed

T = TypeVar("T")
Draw = Callable[[Trajectory, int, int], Awaitable[Step]]
"""A prefix, a seed and the tokens that are left to the next step."""
DrawNew = Callable[[Trajectory, int, int], Awaitable["tuple[Step | None, int]"]]
"""As `Draw`, to a step that is new, None if none was drawn, and the tokens of all draws."""

MAX_STEPS = 64
"""Of a whole solution that is drawn step by step."""

MAX_DRAWS = 8
"""How often one sample is drawn at most. Ours: what is left of a tenth is found in 57% of cases."""


class Known:
    """The steps that a request must not draw again; grows by what it draws.

    A step whose tokens are told is another one if its tokens differ, as in our own engine; of
    others the text tells.

    Args:
      request: whose first new steps are looked at.

    Attributes:
      max_draws: how often a sample is drawn at most.
      repeated: how often one was drawn again.
    """

    def __init__(self, request: PolicyRequest) -> None:
        steps = None if isinstance(request, Ask) else request.sampling.without
        self.is_independent = steps is None
        self._tokens: set[tuple[int, ...]] = set()
        self._texts: dict[tuple[str, bool], bool] = {}  # whether its tokens are told
        for step in steps or ():
            self.add(step)
        self.repeated = 0
        self.max_draws = 1
        if steps is not None and request.sampling.temperature:
            self.max_draws = min(MAX_DRAWS, request.sampling.max_draws or MAX_DRAWS)

    def holds(self, step: Step) -> bool:
        """Return whether a step is known."""
        if step.draw is None:
            return _text(step) in self._texts
        return step.draw.tokens in self._tokens or self._texts.get(_text(step)) is False

    def add(self, step: Step) -> None:
        """Remember a step."""
        text, is_told = _text(step), step.draw is not None
        self._texts[text] = is_told and self._texts.get(text, True)
        if step.draw is not None:
            self._tokens.add(step.draw.tokens)

    def takes(self, step: Step, again: int) -> bool:
        """Return whether a drawn step may stand; remember it if so.

        Args:
          step: what was drawn.
          again: how often it was drawn before; what cuts a repetition may be what its forerunners
            cost, and it is no answer then.
        """
        is_taken = self.is_independent or not (self.holds(step) or (again and step.is_cut))
        if is_taken:
            self.add(step)
        return is_taken


async def draw_new(
    known: Known, draw: Draw, prefix: Trajectory, seed: int, left: int
) -> tuple[Step | None, int]:
    """Return a step that is new, None if none was drawn, and the tokens of all draws."""
    spent = 0
    for again in range(known.max_draws):
        known.repeated += again > 0
        own_seed = derive_seed(seed, "again", again) if again else seed
        step = await draw(prefix, own_seed, left - spent)
        spent += step.num_tokens
        if known.takes(step, again):
            return step, spent
        if spent >= left:
            break
    return None, spent


async def draw_sample(
    request: PolicyRequest,
    prefix: Trajectory,
    seed: int,
    limit: int,
    draw: Draw,
    first: DrawNew | None,
) -> tuple[Trajectory | None, int]:
    """Return a prefix with one sample's steps, None if none was new, and the tokens of all draws.

    Args:
      request: how many steps are wanted: all for a `Complete`, else one.
      prefix: what the sample goes on from.
      seed: of the sample.
      limit: its tokens.
      draw: draws a step.
      first: draws the first, which must be new; None draws it as the others.
    """
    is_whole, left = isinstance(request, Complete), limit
    for number in range(MAX_STEPS if is_whole else 1):
        own_seed = derive_seed(seed, number) if is_whole else seed
        if number or first is None:
            step = await draw(prefix, own_seed, left)
            left -= step.num_tokens
        else:
            new, spent = await first(prefix, own_seed, left)
            left -= spent
            if new is None:
                return None, spent
            step = new
        if is_whole and step.finish == "step" and left <= 0:
            step = replace(step, finish="length")
        prefix = prefix.extend(step)
        if step.finish != "step":
            break
    return prefix, limit - left


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that waits for nothing returns."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("the coroutine waits for something")


def _text(step: Step) -> tuple[str, bool]:
    return step.key, step.is_cut
