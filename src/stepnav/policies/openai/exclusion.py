"""Leaving out first tokens whose continuations are drawn already, on servers that let us.

A server that names token ids and obeys `logit_bias` can be kept from a first token, not from a
whole step. So a first token is left out once most of what follows it was drawn, by the steps'
log-probabilities at temperature 1; what is left of it is lost. Below that a known step is drawn
again (`policies/resampling.py`), which is exact, and cheap as long as little is known.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from stepnav.core.records import Draw, Step, Trajectory
from stepnav.core.requests import Complete, PolicyRequest
from stepnav.core.seeds import derive_seed
from stepnav.policies.openai.protocol import Choice

FIELDS = {"logprobs": 1, "return_tokens_as_token_ids": True}
"""What makes vLLM name the ids of the tokens that it drew."""

BIAS = -100
"""The lowest that the protocol allows; servers take it for "never"."""

MIN_SHARE = 0.5
"""Share drawn from which on a first token is left out: half of the draws would be known steps."""

_ID = re.compile(r"token_id:(\d+)")


def draw_of(choice: Choice) -> Draw | None:
    """Return a choice's tokens and their log-probabilities, None if it does not name the ids."""
    found = [_ID.fullmatch(token) for token, _ in choice.tokens or ()]
    if not found or None in found:
        return None
    tokens = tuple(int(match[1]) for match in found if match)
    return Draw(tokens, tuple(logprob for _, logprob in choice.tokens or ()), ())


def biases(steps: Sequence[Step]) -> dict[str, int]:
    """Return the `logit_bias` that leaves out first tokens whose continuations are mostly drawn."""
    draws = {step.draw.tokens: step.draw for step in steps if step.draw and not step.is_cut}
    shares: dict[int, float] = defaultdict(float)
    for tokens, draw in draws.items():
        shares[tokens[0]] += math.exp(sum(draw.logprobs[1:]))
    return {str(token): BIAS for token, share in shares.items() if share >= MIN_SHARE}


async def can_exclude(ask: Callable[..., Awaitable[Choice | None]]) -> bool:
    """Return whether a server names the first token by its id, and can be kept from it.

    Args:
      ask: sends the same greedy request with further fields; None where the server refuses them.
    """
    first = await _first_token(ask)
    other = None if first is None else await _first_token(ask, logit_bias={str(first): BIAS})
    return other is not None and other != first


async def _first_token(ask: Callable[..., Awaitable[Choice | None]], **fields: Any) -> int | None:
    choice = await ask(**FIELDS, **fields)
    draw = None if choice is None else draw_of(choice)
    return None if draw is None else draw.tokens[0]


def new_steps(request: PolicyRequest, item: Step | Trajectory) -> tuple[Step, ...]:
    """Return what an item adds to its prefix."""
    if isinstance(item, Step):
        return (item,)
    assert isinstance(request, Complete), "only completions are trajectories"
    return item.steps[len(request.prefix.steps) :]


def repetition(
    request: PolicyRequest, index: int, again: int, left: int, found: list[Step]
) -> PolicyRequest:
    """Return the request that draws one sample once more, with the tokens that are left for it."""
    seed = None if request.seed is None else derive_seed(request.seed, "again", again)
    without = (*(request.sampling.without or ()), *found)
    sampling = replace(request.sampling, max_tokens=left, without=without)
    return replace(request, n=1, first=request.first + index, seed=seed, sampling=sampling)
