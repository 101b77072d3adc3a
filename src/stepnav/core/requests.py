"""What a search program asks for, and the helpers with which it asks.

A program yields a sequence of requests and is sent a list of the same length: for `Propose` a
tuple of steps, for `Complete` a tuple of trajectories, for `Ask` a tuple of replies, for `Score` a
tuple of step scores. Where the budget pays for some of a batch's samples only, the tuples are
shorter, and the last sample may end with finish "budget"; such a tuple is `Clipped`. If nothing of
a batch can be paid, `BudgetSpent` is raised at the yield; the program may then ask for something
cheaper, or return its best so far. So it is where not all of a batch of scores can be paid; the
exception then holds those that were. Tuples are shorter too where nothing is left to draw without
replacement.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Union

from stepnav.core.outcome import Outcome
from stepnav.core.records import Message as Message
from stepnav.core.records import Reply, Step, StepScore, Trajectory

POLICY = "policy"
REWARD = "reward"
"""The models that requests go to unless they name another one."""

MIN_TEMPERATURE = 1e-3
"""A lower one is 0: logits divided by so little overflow, and noise is drawn."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How samples are drawn.

    Attributes:
      temperature: 0 is greedy; what is below `MIN_TEMPERATURE` becomes 0.
      top_p: nucleus sampling; 1 switches it off.
      max_tokens: limit on the tokens of each sample; None leaves it to the backend.
      without: steps that were drawn after the same prefix and are not to be drawn again, in the
        order of drawing, those that a limit cut included; the samples of the request exclude each
        other too. None draws each sample independently. A policy that cannot exclude exactly draws
        again where it got a known text. Fewer samples than asked come back where nothing is left.
        Of a `Complete` it is the first new step that is drawn so; an `Ask` ignores it.
      later_temperature: temperature of the draws that are to follow without replacement, if
        another one; set for a greedy first draw, whose share of the probability it decides.
      max_draws: how often a policy that cannot exclude exactly draws at most for one sample; None
        leaves it to the backend.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    without: tuple[Step, ...] | None = None
    later_temperature: float | None = None
    max_draws: int | None = None

    def __post_init__(self) -> None:
        if 0 < self.temperature < MIN_TEMPERATURE:
            object.__setattr__(self, "temperature", 0.0)
        if self.later_temperature is not None and 0 < self.later_temperature < MIN_TEMPERATURE:
            object.__setattr__(self, "later_temperature", 0.0)


GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Propose:
    """Ask a policy for next steps, each stopped at the step boundary.

    Attributes:
      prefix: the steps so far.
      n: how many independent samples, at least 1.
      sampling: how each is drawn.
      reserve_tokens: refuse the request unless so many policy tokens stay in the budget after it,
        so that a later fallback can be paid.
      seed: 63-bit seed of the sampling; None lets the driver derive it (the normal case).
      first: number of the first sample; sample i is drawn with seed and `first` + i, so that a
        request that is split draws what it would have drawn whole.
      model: name of the model that is asked.
    """

    prefix: Trajectory
    n: int = 1
    sampling: Sampling = Sampling()
    reserve_tokens: int = 0
    seed: int | None = None
    first: int = 0
    model: str = POLICY


@dataclass(frozen=True, slots=True)
class Complete:
    """Ask a policy for finished trajectories; attributes as in `Propose`."""

    prefix: Trajectory
    n: int = 1
    sampling: Sampling = Sampling()
    reserve_tokens: int = 0
    seed: int | None = None
    first: int = 0
    model: str = POLICY


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a chat or completion model for free text, for instance a judgement.

    Attributes:
      messages: the conversation so far, at least one.
      n, sampling, reserve_tokens, seed, first, model: as in `Propose`.
    """

    messages: tuple[Message, ...]
    n: int = 1
    sampling: Sampling = Sampling()
    reserve_tokens: int = 0
    seed: int | None = None
    first: int = 0
    model: str = POLICY


@dataclass(frozen=True, slots=True)
class Score:
    """Ask a reward model for one `StepScore` per step of a trajectory."""

    trajectory: Trajectory
    model: str = REWARD


PolicyRequest = Union[Propose, Complete, Ask]
Request = Union[Propose, Complete, Ask, Score]
POLICY_REQUESTS = (Propose, Complete, Ask)
Program = Generator[Sequence[Request], list[Any], Outcome]
"""A running search: yields requests, is sent answers in the same order, returns an outcome."""


class Clipped(tuple[Any, ...]):
    """The samples of a request that the budget clipped: there may be more to draw."""

    __slots__ = ()


class BudgetSpent(Exception):
    """Raised inside a program at a yield that the budget cannot pay.

    Not a `StepnavError`: every strategy handles it, and no caller of the driver ever sees it.

    Attributes:
      resource: what is spent.
      scores: of a batch of scores, the answers to its first requests, which were paid.
    """

    def __init__(self, resource: str, scores: Sequence[tuple[StepScore, ...]] = ()) -> None:
        super().__init__(resource)
        self.resource = resource
        self.scores = scores


def propose(
    prefix: Trajectory, n: int = 1, *, sampling: Sampling, reserve_tokens: int = 0
) -> Generator[Sequence[Request], list[Any], tuple[Step, ...]]:
    """Return `n` proposed next steps; use with `yield from`."""
    return (yield (Propose(prefix, n, sampling, reserve_tokens),))[0]  # type: ignore[no-any-return]


def complete(
    prefix: Trajectory, n: int = 1, *, sampling: Sampling, reserve_tokens: int = 0
) -> Generator[Sequence[Request], list[Any], tuple[Trajectory, ...]]:
    """Return `n` completions of the prefix; use with `yield from`."""
    return (yield (Complete(prefix, n, sampling, reserve_tokens),))[0]  # type: ignore[no-any-return]


def ask(
    messages: Sequence[Message], n: int = 1, *, sampling: Sampling, model: str = POLICY
) -> Generator[Sequence[Request], list[Any], tuple[Reply, ...]]:
    """Return `n` replies to a conversation; use with `yield from`."""
    return (yield (Ask(tuple(messages), n, sampling, model=model),))[0]  # type: ignore[no-any-return]


def score(
    trajectory: Trajectory,
) -> Generator[Sequence[Request], list[Any], tuple[StepScore, ...]]:
    """Return the reward model's score of each step; use with `yield from`."""
    return (yield (Score(trajectory),))[0]  # type: ignore[no-any-return]


def score_all(
    trajectories: Sequence[Trajectory],
) -> Generator[Sequence[Request], list[Any], list[tuple[StepScore, ...]]]:
    """Return the step scores of several trajectories, asked for at once; use with `yield from`."""
    if not trajectories:
        return []
    return (yield tuple(Score(trajectory) for trajectory in trajectories))


def score_first(
    trajectories: Sequence[Trajectory],
) -> Generator[
    Sequence[Request], list[Any], tuple[Sequence[tuple[StepScore, ...]], BudgetSpent | None]
]:
    """Return the step scores of the trajectories that the budget pays for, and why of no more."""
    try:
        return (yield from score_all(trajectories)), None
    except BudgetSpent as spent:
        return spent.scores, spent
