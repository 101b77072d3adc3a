"""Temperature scaling: one number that makes a reward model's probabilities mean what they say.

Guo et al. 2017 (arXiv 1706.04599), section 4.2: all outputs are divided by T before they become
probabilities, T minimising the negative log-likelihood of held-out labels. Which class is likeliest
stays as it is. The fit needs no outputs: softmax(log p / T) is softmax(outputs / T).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import StepScore
from stepnav.labels.records import LabelKind
from stepnav.measure.extras import load
from stepnav.measure.prm.case import Case
from stepnav.measure.prm.ratings import LEAST_PROB, calibration, hard_label, rated_steps
from stepnav.measure.prm.scores import Scored
from stepnav.measure.stats.cluster import Floats

BOUNDS = (0.05, 1000.0)
"""What a temperature may be; a fit that ends at one of them has found none."""


@dataclass(frozen=True, slots=True)
class Observations:
    """What the fit sees of labelled steps.

    Attributes:
      log_probs: per step and class of the model [n, k].
      is_right: the classes that agree with the step's label [n, k]: several where a label says
        less than the model does.
    """

    log_probs: Floats
    is_right: npt.NDArray[np.bool_]


def with_step_labels(case: Case) -> Case:
    """Return a solution with step labels: right before its first error, unknown after it."""
    if case.labels is not None:
        return case
    size, error = len(case.steps), case.first_error
    labels: list[int | None] = [1] * size
    if error is not None:
        labels = [1] * error + [-1] + [None] * (size - error - 1)
    return Case(case.id, case.group, case.question, case.steps, case.is_whole, labels=tuple(labels))


def rated_classes(labels: Sequence[int]) -> tuple[int, ...]:
    """Return the model's classes in rising order, given its step format's labels.

    Raises:
      ConfigError: two outputs stand for one rating, so that probabilities do not tell the outputs,
        or nothing tells right from wrong.
    """
    classes = tuple(sorted(set(labels))) or (-1, 1)
    if len(set(labels)) != len(labels):
        raise ConfigError(f"a model with two outputs for one rating cannot be calibrated: {labels}")
    if -1 not in classes or 1 not in classes:
        raise ConfigError(f"a model without outputs for -1 and 1 cannot be calibrated: {labels}")
    return classes


def observe(
    scored: Sequence[Scored], label_kind: LabelKind, classes: Sequence[int]
) -> Observations:
    """Return what the fit sees.

    Args:
      scored: solutions with labels, and their scores.
      label_kind: what the labels are.
      classes: the model's (`rated_classes`).
    """
    probs, rights = [], []
    for case, scores in scored:
        for label, score in zip(case.labels or (), scores, strict=True):
            if label is None:
                continue
            by_class = {
                -1: score.negative_prob,
                0: score.neutral_prob,
                1: score.positive_prob,
            }
            probs.append([by_class[rating] for rating in classes])
            rights.append(_agreeing(hard_label(label, label_kind), label_kind, classes))
    if not probs:
        raise DataError("there is no labelled step to fit a temperature on")
    return Observations(
        np.log(np.maximum(np.array(probs), LEAST_PROB)), np.array(rights, dtype=bool)
    )


def mean_loss(seen: Observations, temperature: float) -> float:
    """Return the mean negative log-likelihood of the labels in nats, at a temperature."""
    scaled = seen.log_probs / temperature
    right = np.where(seen.is_right, scaled, -np.inf)
    return float(np.mean(_log_sum(scaled) - _log_sum(right)))


def fit_temperature(seen: Observations) -> float:
    """Return the temperature with the lowest loss, a factor on the one the model has.

    Raises:
      DataError: the loss falls all the way to one of `BOUNDS`.
    """
    found = load("scipy.optimize").minimize_scalar(
        lambda log: mean_loss(seen, math.exp(log)),
        bounds=tuple(math.log(bound) for bound in BOUNDS),
        method="bounded",
        options={"xatol": 1e-7},
    )
    temperature = math.exp(found.x)
    lowest = mean_loss(seen, temperature)
    reasons = (
        "the model makes no mistake on these steps",
        "its ratings tell nothing about these labels",
    )
    for bound, reason in zip(BOUNDS, reasons):
        if mean_loss(seen, bound) <= lowest or abs(math.log(temperature / bound)) < 1e-3:
            raise DataError(
                f"no temperature between {BOUNDS[0]} and {BOUNDS[1]} fits {len(seen.log_probs)} "
                f"labelled steps: {reason}; nothing was changed"
            )
    return temperature


def scaled(score: StepScore, temperature: float, classes: Sequence[int]) -> StepScore:
    """Return a score as the model would give it at another temperature (a factor on its own).

    Example:
      >>> round(scaled(StepScore(0.2, 0.0, 0.8), 0.5, (-1, 1)).positive_prob, 4)
      0.9412
    """
    by_class = {-1: score.negative_prob, 0: score.neutral_prob, 1: score.positive_prob}
    logs = [math.log(max(by_class[rating], LEAST_PROB)) / temperature for rating in classes]
    powers = [math.exp(log - max(logs)) for log in logs]
    probs = dict.fromkeys((-1, 0, 1), 0.0)
    for rating, power in zip(classes, powers):
        probs[rating] = power / sum(powers)
    return StepScore(probs[-1], probs[0], probs[1])


def describe(
    scored: Sequence[Scored], label_kind: LabelKind, temperature: float, classes: Sequence[int]
) -> dict[str, Any]:
    """Return the calibration of one part of the data before and after."""
    after = [
        (case, tuple(scaled(score, temperature, classes) for score in scores))
        for case, scores in scored
    ]
    steps = rated_steps(scored, label_kind)
    return {
        "problems": len(set(steps.groups)),
        "steps": len(steps.labels),
        "before": calibration(steps),
        "after": calibration(rated_steps(after, label_kind)),
    }


def _agreeing(label: int, label_kind: LabelKind, classes: Sequence[int]) -> list[bool]:
    """Return which classes agree with a label."""
    if label == -1:
        return [rating == -1 for rating in classes]
    if label_kind == "rating" and label in classes:
        return [rating == label for rating in classes]
    return [rating != -1 for rating in classes]


def _log_sum(rows: Floats) -> Floats:
    top = rows.max(axis=1)
    found: Floats = top + np.log(np.exp(rows - top[:, None]).sum(axis=1))
    return found
