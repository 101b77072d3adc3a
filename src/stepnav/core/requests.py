"""What a search program asks for, and the helpers with which it asks.

A program yields a sequence of requests and is sent a list of the same length: for `Propose` a
tuple of steps, for `Complete` a tuple of trajectories, for `Score` a tuple of step scores. If a
request cannot be paid, `BudgetSpent` is raised at the yield; the program may then ask for
something cheaper, or return its best so far.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Union

from stepnav.core.outcome import Outcome
from stepnav.core.records import Step, StepScore, Trajectory


@dataclass(frozen=True, slots=True)
class Propose:
    """Ask the policy for next steps, each stopped at the step boundary.

    Attributes:
      prefix: the steps so far.
      n: how many independent samples, at least 1.
      temperature: 0 is greedy.
      top_p: nucleus sampling; 1 switches it off.
      max_tokens: limit on the tokens of each sample; None leaves it to the backend.
      reserve_tokens: refuse the request unless so many policy tokens stay in the budget after it,
        so that a later fallback can be paid.
      seed: 63-bit seed of the sampling; None lets the driver derive it (the normal case).
    """

    prefix: Trajectory
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    reserve_tokens: int = 0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """Ask the policy for finished trajectories; attributes as in `Propose`."""

    prefix: Trajectory
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    reserve_tokens: int = 0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Ask the reward model for one `StepScore` per step of a trajectory."""

    trajectory: Trajectory


Request = Union[Propose, Complete, Score]
PolicyRequest = Union[Propose, Complete]
Program = Generator[Sequence[Request], list[Any], Outcome]
"""A running search: yields requests, is sent their answers in the same order, returns an outcome."""


class BudgetSpent(Exception):
    """Raised inside a program at a yield that the budget cannot pay.

    Not a `StepnavError`: every strategy handles it, and no caller of the driver ever sees it.
    """

    def __init__(self, resource: str) -> None:
        super().__init__(resource)
        self.resource = resource


def propose(
    prefix: Trajectory,
    n: int = 1,
    *,
    temperature: float,
    top_p: float = 1.0,
    max_tokens: int | None = None,
    reserve_tokens: int = 0,
) -> Generator[Sequence[Request], list[Any], tuple[Step, ...]]:
    """Return `n` proposed next steps; use with `yield from`."""
    request = Propose(prefix, n, temperature, top_p, max_tokens, reserve_tokens)
    return (yield (request,))[0]  # type: ignore[no-any-return]


def complete(
    prefix: Trajectory,
    n: int = 1,
    *,
    temperature: float,
    top_p: float = 1.0,
    max_tokens: int | None = None,
    reserve_tokens: int = 0,
) -> Generator[Sequence[Request], list[Any], tuple[Trajectory, ...]]:
    """Return `n` completions of the prefix; use with `yield from`."""
    request = Complete(prefix, n, temperature, top_p, max_tokens, reserve_tokens)
    return (yield (request,))[0]  # type: ignore[no-any-return]


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
