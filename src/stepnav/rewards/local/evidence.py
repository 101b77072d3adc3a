"""What a reward model's score says beyond what steps in general get: a logistic fit of right steps.

P(a step is right | its score) is fitted as a logistic function of the logit of its value (Platt
1999). Less the logit of the share of right steps, its log-odds are evidence, which a search may add
to what it believes of a step without counting the usual success of steps twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.core.errors import DataError

LEAST_VALUE = 1e-9
MAX_ROUNDS = 100
RIDGE = 1e-6
"""Keeps a fit of labels that the values separate finite."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a score says beyond the usual, in nats: `slope` * logit(value) + `offset`.

    Attributes:
      slope: of the logistic fit of right steps on the logit of their values.
      offset: its intercept, less the logit of the share of right steps.
    """

    slope: float
    offset: float

    def of(self, value: float) -> float:
        """Return the evidence of a step with this value."""
        kept = min(max(value, LEAST_VALUE), 1 - LEAST_VALUE)
        return self.slope * math.log(kept / (1 - kept)) + self.offset

    @classmethod
    def read(cls, value: Any) -> Evidence | None:
        """Return what stands in a model's settings.

        Raises:
          ValueError, TypeError: it is no such thing.
        """
        if value is None:
            return None
        found = cls(**value)
        for name, number in (("slope", found.slope), ("offset", found.offset)):
            is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
            if not (is_number and math.isfinite(number)):
                raise ValueError(f"evidence.{name} must be a number (got {number!r})")
        return found


def fit_evidence(values: Sequence[float], is_right: Sequence[bool]) -> Evidence:
    """Return the fit, by Newton's method.

    Args:
      values: of labelled steps, in [0, 1].
      is_right: whether each is right, neutral ones included.
    Raises:
      DataError: all steps are right, or all are wrong.
    """
    import numpy as np

    truth = np.asarray(is_right, dtype=float)
    if truth.size == 0 or truth.min() == truth.max():
        raise DataError("evidence is fitted on right and on wrong steps; one kind is missing")
    kept = np.clip(np.asarray(values, dtype=float), LEAST_VALUE, 1 - LEAST_VALUE)
    inputs = np.stack([np.log(kept / (1 - kept)), np.ones_like(kept)], axis=1)
    weights = np.zeros(2)
    for _ in range(MAX_ROUNDS):
        change = _newton_step(inputs, truth, weights)
        weights = weights + change
        if np.abs(change).max() < 1e-9:
            break
    share = truth.mean()
    return Evidence(float(weights[0]), float(weights[1] - np.log(share / (1 - share))))


def _newton_step(inputs: Any, truth: Any, weights: Any) -> Any:
    """Return the change of the two weights, at most 1 in each so that no round overshoots."""
    import numpy as np

    probs = 1 / (1 + np.exp(-np.clip(inputs @ weights, -50, 50)))
    slope = inputs.T @ (truth - probs) - RIDGE * weights
    curvature = (inputs * (probs * (1 - probs))[:, None]).T @ inputs + RIDGE * np.eye(2)
    return np.clip(np.linalg.solve(curvature, slope), -1.0, 1.0)
