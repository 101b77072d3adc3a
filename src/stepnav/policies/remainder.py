"""What is left to draw after a prefix, once some steps have been drawn there.

The token sequences drawn so far make a trie. A token is worth its probability times the share of
what follows it that nobody has drawn yet, so that a whole step comes with its probability under the
policy divided by that of all steps that are left: sampling without replacement, exactly
(UniqueRandomizer, Shi et al. 2020, section 3, https://arxiv.org/abs/2002.09067). Differs in:
the trie is made from what the drawn steps carry (`core.records.Draw`), so that nothing need be
kept between draws (`Tries` keeps it for speed), and in logarithms, so that what is left beside a
nearly certain step is known as well as the step itself. And the way down the trie needs no model
(`Drawing.depart`): a draw costs the tokens from where it leaves what was drawn before.
"""

from __future__ import annotations

import math
import operator
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from stepnav.core.records import Draw, Step, Told
from stepnav.core.requests import Sampling

DIGITS = 7
"""Decimals of the logarithms that steps carry: a ten millionth of each probability."""

ROUNDING = 1e-6
"""A share of tokens that are not listed is no more than rounding below this."""

MAX_TOKENS = 200_000
"""So many drawn tokens are kept as tries: some 64 MB."""

IMPOSSIBLE = -1000.0
"""Servers write such log-probabilities for minus infinity."""


@dataclass(eq=False, slots=True)
class Place:
    """A place in the trie: what was drawn up to here.

    Attributes:
      logprob: of the token that leads here.
      rest: log of the probability of all tokens that nobody took here.
      left: log of the share of what begins so that is not drawn yet; -inf for a whole step.
      following: token -> the place that it leads to.
      told: of the token that leads here, as in `Draw`.
    """

    logprob: float = 0.0
    rest: float = math.inf
    left: float = -math.inf
    following: dict[int, Place] = field(default_factory=dict)
    told: Told | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to draw."""
        return bool(self.following) and self.left == -math.inf

    def copied(self) -> Place:
        """Return a place that can be changed, before those that this one leads to."""
        return Place(self.logprob, self.rest, self.left, dict(self.following), self.told)


def trie_of(steps: Iterable[Step], limit: int, root: Place | None = None) -> Place:
    """Return the root of what was drawn.

    Under a limit of tokens a step ends whole or is cut there, and both are drawn once. A step that
    another limit cut has not been drawn whole and excludes nothing; nor does one whose `draw` is
    not known.

    Args:
      steps: drawn after the same prefix under the same sampling.
      limit: most tokens of a step.
      root: of what was drawn before them; it stays as it is.
    """
    root = root or Place()
    for step in steps:
        draw = step.draw
        if draw is None or len(draw.tokens) > limit or (step.is_cut and len(draw.tokens) < limit):
            continue
        root = _with_draw(root, draw)
    return root


def _with_draw(root: Place, draw: Draw) -> Place:
    """Return a trie with one more draw; only the places on its way are new."""
    place = root = root.copied()
    way = [root]
    told = draw.told or (None,) * len(draw.tokens)
    for token, logprob, rest, own in zip(draw.tokens, draw.logprobs, draw.rests, told):
        # Later draws saw more of the tokens taken, the last one all of them.
        place.rest = min(place.rest, rest)
        known = place.following.get(token)
        place.following[token] = Place(logprob, told=own) if known is None else known.copied()
        place = place.following[token]
        way.append(place)
    for place in reversed(way):
        if place.following:
            left = [child.logprob + child.left for child in place.following.values()]
            place.left = log_sum([place.rest, *left])
    return root


@dataclass(frozen=True, slots=True)
class _Kept:
    """A trie, the steps that it is made of, and how many tokens they have."""

    steps: Sequence[Step] = ()
    root: Place = field(default_factory=Place)
    num_tokens: int = 0

    def extended(self, steps: Sequence[Step], limit: int) -> _Kept:
        """Return the trie of steps that begin with these ones."""
        new = steps[len(self.steps) :]
        num_tokens = sum(len(step.draw.tokens) for step in new if step.draw)
        return _Kept(steps, trie_of(new, limit, self.root), self.num_tokens + num_tokens)


class Tries:
    """The tries of the places at which steps were drawn last, so that each draw is added once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], _Kept] = OrderedDict()
        self._num_tokens = 0

    def of(self, steps: Sequence[Step], limit: int) -> Place:
        """Return `trie_of` steps, made from that of the steps without the last ones."""
        if not steps:
            return Place()
        key = (id(steps[0]), limit)  # a place is known by its first step, which is kept with it
        known = self._kept.pop(key, _Kept())
        self._num_tokens -= known.num_tokens
        if len(known.steps) > len(steps) or not all(map(operator.is_, known.steps, steps)):
            known = _Kept()
        kept = self._kept[key] = known.extended(steps, limit)
        self._num_tokens += kept.num_tokens
        while self._num_tokens > MAX_TOKENS and len(self._kept) > 1:
            self._num_tokens -= self._kept.popitem(last=False)[1].num_tokens
        return kept.root


class Drawing:
    """One draw from what is left, token by token.

    Args:
      root: of the trie of what was drawn before.

    Attributes:
      tokens: taken so far.
      told: of each, as in `Draw`; empty where nothing is told.
    """

    def __init__(self, root: Place) -> None:
        self._place: Place | None = root
        self.tokens: list[int] = []
        self._logprobs: list[float] = []
        self._rests: list[float] = []
        self.told: list[Told] = []

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to draw here."""
        return self._place is not None and self._place.is_exhausted

    @property
    def rest(self) -> float:
        """The log of the probability of all tokens that nobody took here."""
        return math.inf if self._place is None else self._place.rest

    @property
    def taken(self) -> Mapping[int, Place]:
        """The next tokens that were taken before, and the places that they lead to."""
        return {} if self._place is None else self._place.following

    def depart(self, chance: Random) -> None:
        """Take tokens that were taken before, up to where a draw from what is left takes another.

        There the next token is to be none of `taken`. None is taken where nothing is left.
        """
        while self._place is not None and self._place.following and not self.is_exhausted:
            rest, taken = self._place.rest, list(self._place.following.items())
            logs = [rest, *(place.logprob + place.left for _, place in taken)]
            highest = max(logs)
            weights = [math.exp(log - highest) for log in logs]
            (way,) = chance.choices(range(len(logs)), weights)
            if way == 0:
                return
            token, place = taken[way - 1]
            self.add(token, place.logprob, rest, place.told)

    def add(self, token: int, logprob: float, rest: float, told: Told | None = None) -> None:
        """Take a token; `logprob`, `rest` and `told` as in `Draw`."""
        self.tokens.append(token)
        self._logprobs.append(round(logprob, DIGITS))
        self._rests.append(round(rest, DIGITS))
        if told is not None:
            self.told.append((told[0], round(told[1], DIGITS)))
        self._place = None if self._place is None else self._place.following.get(token)

    def finished(self) -> Draw:
        """Return what was drawn."""
        told = tuple(self.told) or None
        return Draw(tuple(self.tokens), tuple(self._logprobs), tuple(self._rests), told)


def shares(
    listed: Mapping[Any, float], drawn: Any, taken: Mapping[Any, Place], temperature: float
) -> tuple[float, float]:
    """Return `logprob` and `rest` of a drawn token, as in `Draw`, from a list of likely ones.

    Tokens that are not listed count as if each were as likely as the least likely one listed. At
    temperature 1 that makes no difference, at lower ones it is the most that they can have.

    Args:
      listed: log-probabilities at temperature 1 by token, of the likeliest and the drawn one.
      drawn: that token.
      taken: tokens that earlier draws took here, and the places that they went to.
      temperature: of the draws.
    """
    likely = {token: log for token, log in listed.items() if log > IMPOSSIBLE or token == drawn}
    unlisted = 1 - math.fsum(map(math.exp, likely.values()))
    tail = -math.inf
    if unlisted > ROUNDING:
        last = min((log for token, log in likely.items() if token != drawn), default=likely[drawn])
        tail = math.log(unlisted) + (1 / temperature - 1) * last
    logs = {token: log / temperature for token, log in likely.items()}
    whole = log_sum([tail, *logs.values()])
    gone = math.fsum(math.exp(place.logprob) for token, place in taken.items() if token not in logs)
    tail_left = math.exp(tail - whole) - gone
    left = [log - whole for token, log in logs.items() if token != drawn and token not in taken]
    left.append(math.log(tail_left) if tail_left > 0 else -math.inf)
    return logs[drawn] - whole, log_sum(left)


def is_told(sampling: Sampling) -> bool:
    """Return whether lists of likely tokens tell enough to draw what is left."""
    is_plain = sampling.top_p == 1 and told_temperature(sampling) <= 1
    return sampling.without is not None and is_plain


def told_temperature(sampling: Sampling) -> float:
    """Return the temperature that the probabilities of a draw are told at."""
    return sampling.later_temperature or sampling.temperature or 1.0


def log_sum(logs: Sequence[float]) -> float:
    """Return the log of the sum of numbers that are given by their logs."""
    highest = max(logs)
    if highest == -math.inf:
        return highest
    return highest + math.log(math.fsum([math.exp(value - highest) for value in logs]))
