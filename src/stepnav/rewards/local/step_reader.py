"""Reads a reward model's outputs at the end of each step and turns them into scores.

Positions are known from the tokenisation, never searched for in the text, so that a separator
inside a step or a probability of exactly 0 cannot shift scores from one step to another.
Probabilities are computed in float64 from differences of outputs, so that a small one does not
become 0 too early.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stepnav.core.errors import BackendError
from stepnav.core.records import StepScore, Trajectory
from stepnav.engine.row import Row

Probs = tuple[float, float, float]
"""Probabilities of the ratings -1, 0 and +1."""


class Encoder(Protocol):
    """How a trajectory becomes tokens."""

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens, and how many there are after the prompt and after each step.

        Raises:
          BackendError: a step cannot be scored; names it.
        """


class Read(Protocol):
    """Makes probabilities of a model's outputs."""

    def __call__(self, outputs: Any) -> list[Probs]:
        """Return one `Probs` for each of the outputs [N, C] at N positions."""


@dataclass(frozen=True, slots=True)
class ClassProbs:
    """Reads outputs [N, C], one per class: their softmax.

    Attributes:
      labels: the rating that each class stands for.
      temperature: what outputs are divided by.
    """

    labels: tuple[int, ...]
    temperature: float = 1.0

    def __call__(self, outputs: Any) -> list[Probs]:
        """Return one `Probs` for each of the N."""
        found = []
        for probs in (outputs.cpu().double() / self.temperature).softmax(dim=-1).tolist():
            by_rating = {-1: 0.0, 0: 0.0, 1: 0.0}
            for label, prob in zip(self.labels, probs):
                by_rating[label] += prob
            found.append((by_rating[-1], by_rating[0], by_rating[1]))
        return found


@dataclass(frozen=True, slots=True)
class ValueProbs:
    """Reads one output, whose sigmoid is the probability that a step is right.

    Attributes:
      temperature: what outputs are divided by.
    """

    temperature: float = 1.0

    def __call__(self, outputs: Any) -> list[Probs]:
        """Return one `Probs` for each of the outputs [N, 1]."""
        return _two_sided(outputs[:, 0].cpu().double() / self.temperature)


@dataclass(frozen=True, slots=True)
class PairProbs:
    """Reads the two outputs of a good and a bad token: the softmax over these alone.

    Attributes:
      good, bad: tokens.
      temperature: what outputs are divided by.
    """

    good: int
    bad: int
    temperature: float = 1.0

    def __call__(self, outputs: Any) -> list[Probs]:
        """Return one `Probs` for each of the outputs [N, vocabulary]."""
        pair = outputs[:, [self.good, self.bad]].cpu().double()
        return _two_sided((pair[:, 0] - pair[:, 1]) / self.temperature)


def _two_sided(log_odds: Any) -> list[Probs]:
    right, wrong = log_odds.sigmoid().tolist(), (-log_odds).sigmoid().tolist()
    return [(low, 0.0, high) for low, high in zip(wrong, right)]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a trajectory.

    Attributes:
      rows: what is run; none where there is no step.
      totals: tokens read for the prompt, and with each step, as they are charged.
      ends: tokens of a row up to the question's end, and up to each step's end in its row.
    """

    rows: tuple[Row, ...]
    totals: tuple[int, ...]
    ends: tuple[int, ...]

    def check_length(self, limit: int | None) -> None:
        """Refuse what is longer than the model can read.

        Args:
          limit: in tokens; None for no limit.
        Raises:
          BackendError: names the first step beyond it.
        """
        if limit is None or max(self.ends) <= limit:
            return
        number = next(at for at, end in enumerate(self.ends) if end > limit)
        raise BackendError(
            f"{f'step {number}' if number else 'the question'} ends at token {self.ends[number]} "
            f"and the reward model reads {limit} tokens, so it cannot be scored; use shorter "
            "solutions or a model with a longer context",
            provider="local",
            status_code=400,
            code="solution_too_long" if number else "context_length_exceeded",
        )


class Reader(Protocol):
    """What a reward model reads and how it turns it into scores."""

    def reading(self, trajectory: Trajectory) -> Reading:
        """Return what is to be read.

        Raises:
          BackendError: a step cannot be scored; names it.
        """

    def take(self, asked: Sequence[tuple[Row, int]], outputs: Any) -> None:
        """Put what was read at each (row, position) into the row's outputs."""

    def scores(self, rows: Sequence[Row]) -> tuple[StepScore, ...]:
        """Return the scores of rows whose outputs are complete, one per step.

        Raises:
          BackendError: an output is no number.
        """


class StepReader:
    """Reads one output per step.

    Args:
      encoder: makes the tokens.
      read: makes probabilities of outputs.
      after: tokens of a step that stand after the one at which it is read.
    """

    def __init__(self, encoder: Encoder, read: Read, *, after: int = 0) -> None:
        self.encoder = encoder
        self.read = read
        self._after = after

    def reading(self, trajectory: Trajectory) -> Reading:
        """Return one row for all steps."""
        tokens, totals = self.encoder.encode(trajectory)
        wanted = tuple(total - 1 - self._after for total in totals[1:])
        return Reading((Row(tokens, wanted),) if wanted else (), totals, totals)

    def take(self, asked: Sequence[tuple[Row, int]], outputs: Any) -> None:
        """Keep the probabilities at each (row, position)."""
        for (row, position), probs in zip(asked, self.read(outputs)):
            row.outputs[position] = probs

    def scores(self, rows: Sequence[Row]) -> tuple[StepScore, ...]:
        """Return one score per wanted position.

        Raises:
          BackendError: an output is no number.
        """
        return step_scores([row.outputs[at] for row in rows for at in row.wanted])


def step_scores(found: Sequence[Probs]) -> tuple[StepScore, ...]:
    """Return the scores of probabilities, one per step.

    Raises:
      BackendError: one of them is no number; names the step.
    """
    for number, probs in enumerate(found, 1):
        if any(map(math.isnan, probs)):
            raise BackendError(
                f"the reward model's output for step {number} is not a number; a model that "
                "overflows in half precision needs --dtype float32 or bfloat16",
                provider="local",
            )
    return tuple(StepScore(*probs) for probs in found)
