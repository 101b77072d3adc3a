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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import Complete, PolicyRequest, Propose
from stepnav.core.seeds import derive_seed
from stepnav.policies.openai.prompts import FIELDS
from stepnav.policies.openai.protocol import Api, Choice
from stepnav.policies.remainder import Drawing, Place, shares, told_temperature, trie_of
from stepnav.policies.splitting import PART

BIAS = -100
"""The lowest that the protocol allows; servers take it for "never"."""

SAME_LOGPROB = 0.1
"""Two answers may tell a token's log-probability so differently; a bias changes it by more."""


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
    """

    def __init__(self, request: Propose, index: int, root: Place | None) -> None:
        drawing = Drawing(root or Place())
        seed = request.seed
        seed = None if seed is None else derive_seed(seed, "departure", request.first + index)
        drawing.depart(Random(seed))
        self._tokens, self._told = drawing.tokens, drawing.told
        self._listed: list[Mapping[str, float]] = []
        self._is_told = root is not None
        self.text = "".join(text for text, _ in drawing.told)
        self.num_known = len(drawing.told)
        self.bias = {str(token): BIAS for token in drawing.taken}

    @property
    def is_blank_first(self) -> bool:
        """Whether its first token is white space alone."""
        return bool(self._told) and not self._told[0][0].strip()

    def add(self, choice: Choice, text: str) -> None:
        """Take what a server drew.

        Args:
          choice: as the server told it.
          text: all that is written of the step now.
        """
        told = choice.tokens or ()
        self._is_told &= bool(told) and len(told) == len(choice.ids) == len(choice.listed)
        if self._is_told:
            self._tokens += choice.ids
            self._told += told
            self._listed += choice.listed
        self.text, self.bias = text, {}

    def finished(self, step: Step, root: Place, temperature: float) -> Step:
        """Return the step with how it was drawn, if the server told that.

        Not where its tokens' texts do not make its text: some hold a part of a character only, or
        lie beyond it.

        Args:
          step: without it.
          root: of the trie of all that was drawn before it.
          temperature: that probabilities are told at.
        """
        texts = [text for text, _ in self._told]
        begin = "".join(texts[:-1])
        is_whole = all(texts[:-1]) and step.text.startswith(begin)
        is_whole &= step.finish == "end" or begin != step.text  # only an end has no text
        if not (self._is_told and is_whole and (begin + texts[-1]).startswith(step.text)):
            return step
        drawing = Drawing(root)
        for at, (token, own) in enumerate(zip(self._tokens, self._told)):
            if at < self.num_known:
                place = drawing.taken[token]
                drawing.add(token, place.logprob, drawing.rest, own)
                continue
            listed = {**self._listed[at - self.num_known], own[0]: own[1]}
            taken = {p.told[0]: p for p in drawing.taken.values() if p.told}
            drawing.add(token, *shares(listed, own[0], taken, temperature), own)
        logprob = math.fsum(logprob for _, logprob in self._told)
        return replace(step, logprob=logprob, draw=drawing.finished())


def in_order(
    request: Propose, limit: int, drawn: Sequence[tuple[Step, Begun]], *, drops_blanks: bool
) -> list[Step]:
    """Return steps that were drawn side by side, each told as if drawn after those before it.

    Args:
      request: what they were drawn for.
      limit: most tokens of each.
      drawn: in order.
      drops_blanks: whether the server goes on from blank text as if nothing were written; then
        a step that begins with a blank token is not told.
    """
    found: list[Step] = []
    temperature = told_temperature(request.sampling)
    for step, begun in drawn:
        known = (*(request.sampling.without or ()), *found)
        told = begun.finished(step, known_places(known, limit), temperature)
        is_dropped = drops_blanks and begun.is_blank_first
        found.append(step if is_dropped else told)
    return found


def is_end(choice: Choice) -> bool:
    """Return whether the last token that a server tells of ends the text: it has none of its own.

    vLLM before 0.12 says of such a one at the limit that it was cut.
    """
    texts = [text for text, _ in choice.tokens or ()]
    return choice.text == "".join(texts[:-1]) and bool(texts and texts[-1].strip(PART))


def known_places(steps: Sequence[Step], limit: int) -> Place:
    """Return the root of the trie of those known steps whose tokens' texts were told."""
    return trie_of([step for step in steps if step.draw and step.draw.told], limit)


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
