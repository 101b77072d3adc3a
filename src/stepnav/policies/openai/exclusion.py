"""Drawing what is left after known steps, exactly, on servers that tell and obey enough.

A draw from what is left (`policies/remainder.py`) begins with tokens of known steps and leaves them
at some place. Where, is decided here, from the probabilities that came with the known steps; so the
tokens up to there cost nothing. One token is asked for at that place, with those that were taken
there ruled out by `logit_bias`, and then the rest of the step, freely. Servers that cannot do this
draw again instead of a known step (`policies/resampling.py`).

Differs from our own engine: the server reads the tokens up to that place as text, and of a list of
the likeliest tokens what is not listed is estimated, unless the temperature is 1.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any

from stepnav.core.records import Draw, Step, Trajectory
from stepnav.core.requests import Complete, PolicyRequest, Propose
from stepnav.core.seeds import derive_seed
from stepnav.policies.openai.protocol import Api, Choice
from stepnav.policies.remainder import Drawing, Place, shares, told_temperature, trie_of

FIELDS: dict[Api, dict[str, Any]] = {
    "completions": {"logprobs": 20, "return_token_ids": True},
    "chat": {"logprobs": True, "top_logprobs": 20, "return_token_ids": True},
}
"""What makes vLLM name the ids of what it drew, and the likeliest tokens at each place."""

BIAS = -100
"""The lowest that the protocol allows; servers take it for "never"."""

SAME_LOGPROB = 0.1
"""Two answers may tell a token's log-probability so differently; a bias changes it by more."""


MIN_TEMPERATURE = 1e-3
"""Below it a request is greedy: logits divided by so little overflow, and noise is drawn."""


class Begun:
    """A step that a server is drawing: known tokens that it begins with, and what it drew since.

    Args:
      request: what it is drawn for.
      index: of the sample.
      root: of the trie of known steps; None where its tokens are of no use.

    Attributes:
      text: what is written of it.
      num_known: tokens that it begins with.
      bias: the `logit_bias` under which its next token is drawn.
      is_told: whether the server tells what it draws, and how likely it was.
    """

    def __init__(self, request: Propose, index: int, root: Place | None) -> None:
        self._temperature = told_temperature(request.sampling)
        self._drawing = Drawing(root or Place())
        self.is_told = root is not None
        seed = request.seed
        seed = None if seed is None else derive_seed(seed, "departure", request.first + index)
        self._drawing.depart(Random(seed))
        self.text = "".join(text for text, _ in self._drawing.told)
        self.num_known = len(self._drawing.told)
        self.bias = {str(token): BIAS for token in self._drawing.taken}

    @property
    def logprob(self) -> float:
        """Log-probability of its tokens at temperature 1."""
        return sum(logprob for _, logprob in self._drawing.told)

    def add(self, choice: Choice, text: str) -> None:
        """Take what a server drew.

        Args:
          choice: as the server told it.
          text: all that is written of the step now.
        """
        told = choice.tokens or ()
        self.is_told &= bool(told) and len(told) == len(choice.ids) == len(choice.listed)
        for own, token, listed in zip(told, choice.ids, choice.listed) if self.is_told else ():
            taken = {p.told[0]: p for p in self._drawing.taken.values() if p.told}
            log, rest = shares({**listed, own[0]: own[1]}, own[0], taken, self._temperature)
            self._drawing.add(token, log, rest, own)
        self.text, self.bias = text, {}

    def finished(self) -> Draw | None:
        """Return how it was drawn; None if the tokens' texts, one by one, do not make its text.

        Some hold a part of a character only.
        """
        texts = [text for text, _ in self._drawing.told]
        is_whole = all(texts[:-1]) and "".join(texts).startswith(self.text)
        return self._drawing.finished() if self.is_told and is_whole else None


def is_greedy(request: PolicyRequest) -> bool:
    """Return whether only the most probable tokens are asked for."""
    return request.sampling.temperature < MIN_TEMPERATURE


def known_places(request: Propose, limit: int) -> Place:
    """Return the root of the trie of known steps whose tokens' texts were told.

    It is empty for a greedy request, which draws what it draws.
    """
    is_sampled = not is_greedy(request)
    known = [s for s in request.sampling.without or () if is_sampled and s.draw and s.draw.told]
    return trie_of(known, limit)


async def can_exclude(api: Api, ask: Callable[..., Awaitable[Choice | None]]) -> bool:
    """Return whether a server tells what is needed of its first token, and can be kept from it.

    Its log-probabilities must be those before the bias.

    Args:
      api: the endpoint that is asked.
      ask: sends the same greedy request with further fields; None where the server refuses them.
    """
    first = await ask(**FIELDS[api])
    if first is None or not (first.tokens and first.ids and first.listed):
        return False
    text, logprob = first.tokens[0]
    other = await ask(**FIELDS[api], logit_bias={str(first.ids[0]): BIAS})
    if other is None or not (other.ids and other.listed) or other.ids[0] == first.ids[0]:
        return False
    return abs(other.listed[0].get(text, -math.inf) - logprob) < SAME_LOGPROB


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
