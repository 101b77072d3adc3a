"""Reads a reward model's outputs at the end of each step and turns them into scores.

Positions are known from the tokenisation, never searched for in the text, so that a separator
inside a step or a probability of exactly 0 cannot shift scores from one step to another.
Probabilities are computed in float64 from differences of outputs, so that a small one does not
become 0 too early.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from stepnav.core.records import StepScore, Trajectory
from stepnav.engine.row import Row

Probs = tuple[float, float, float]
"""Probabilities of the ratings -1, 0 and +1."""

Read = Callable[[Any], list[Probs]]
"""Outputs [N, C] of N positions to one `Probs` each."""


class Encoder(Protocol):
    """How a trajectory becomes tokens."""

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens, and how many there are after the prompt and after each step.

        Raises:
          BackendError: a step cannot be scored; names it.
        """


def class_probs(labels: Sequence[int], temperature: float = 1.0) -> Read:
    """Return a function from outputs [M, C], one per class, to probabilities of -1, 0 and 1.

    Args:
      labels: the rating that each class stands for.
      temperature: what outputs are divided by.
    """

    def read(logits: Any) -> list[Probs]:
        found = []
        for probs in (logits.cpu().double() / temperature).softmax(dim=-1).tolist():
            by_rating = {-1: 0.0, 0: 0.0, 1: 0.0}
            for label, prob in zip(labels, probs):
                by_rating[label] += prob
            found.append((by_rating[-1], by_rating[0], by_rating[1]))
        return found

    return read


def value_probs(temperature: float = 1.0) -> Read:
    """Return what reads one output whose sigmoid is the probability that a step is right."""

    def read(outputs: Any) -> list[Probs]:
        return _two_sided(outputs[:, 0].cpu().double() / temperature)

    return read


def pair_probs(good: int, bad: int, temperature: float = 1.0) -> Read:
    """Return what reads the two outputs of a good and a bad token, the softmax over these alone."""

    def read(logits: Any) -> list[Probs]:
        pair = logits[:, [good, bad]].cpu().double()
        return _two_sided((pair[:, 0] - pair[:, 1]) / temperature)

    return read


def _two_sided(log_odds: Any) -> list[Probs]:
    right, wrong = log_odds.sigmoid().tolist(), (-log_odds).sigmoid().tolist()
    return [(low, 0.0, high) for low, high in zip(wrong, right)]


class StepReader:
    """Reads one output per step.

    Args:
      encoder: makes the tokens.
      read: makes probabilities of outputs.
      after: tokens of a step that stand after the one at which it is read.
    """

    def __init__(self, encoder: Encoder, read: Read, *, after: int = 0) -> None:
        self._encoder = encoder
        self._read = read
        self._after = after

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens, and how many there are after the prompt and after each step."""
        return self._encoder.encode(trajectory)

    def row(self, tokens: list[int], totals: Sequence[int]) -> Row:
        """Return a row that wants one output per step."""
        return Row(tokens, tuple(total - 1 - self._after for total in totals[1:]))

    def take(self, asked: Sequence[tuple[Row, int]], logits: Any) -> None:
        """Keep the probabilities at each (row, position)."""
        for (row, position), probs in zip(asked, self._read(logits)):
            row.outputs[position] = probs

    def scores(self, row: Row) -> tuple[StepScore, ...]:
        """Return one score per wanted position.

        Raises:
          NotANumber: an output is none.
        """
        return step_scores([row.outputs[position] for position in row.wanted])


class NotANumber(ValueError):
    """A reward model's output is no number.

    Args:
      index: of the score among those asked for.
      count: how many were asked for.
    """

    def __init__(self, index: int, count: int) -> None:
        super().__init__(f"output {index} of {count} is not a number")
        self.index = index
        self.count = count


def step_scores(found: Sequence[Probs]) -> tuple[StepScore, ...]:
    """Return the scores of probabilities.

    Raises:
      NotANumber: one of them is none.
    """
    for index, probs in enumerate(found):
        if any(math.isnan(prob) for prob in probs):
            raise NotANumber(index, len(found))
    return tuple(StepScore(*probs) for probs in found)
