"""Step labels: does the reward model rate steps as people do, and mean the probabilities it gives?

Per-class precision, recall and F1, the confusion matrix, AUROC and average precision of the wrong
steps, and calibration, with intervals over problems. Where labels or model have two classes
(right, wrong), the other's neutral counts as right; continuous labels (the share of rollouts that
succeed) count as wrong at 0 and right above, which is the hard estimation of Wang et al. 2024
(Math-Shepherd, arXiv 2312.08935).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stepnav.labels.metrics import confusion_matrix
from stepnav.labels.records import LabelKind
from stepnav.measure.prm.case import Case
from stepnav.measure.prm.reliability import (
    NUM_BINS,
    bin_numbers,
    brier_terms,
    calibration_error,
    reliability_table,
)
from stepnav.measure.prm.scores import Scores
from stepnav.measure.stats.cluster import Clusters, Floats, Statistic, divide, ratio
from stepnav.measure.stats.ranking import auroc_statistic, average_precision_statistic

LEAST_PROB = float(np.finfo(np.float64).tiny)
"""The smallest normal float64: a probability of 0 is one that underflowed."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RatedSteps:
    """Labelled steps and what the model says of them.

    Attributes:
      classes: -1, 0, 1, or -1, 1 where labels or model have two classes.
      labels: per step, one of `classes` [n].
      ratings: the model's, one of `classes` [n].
      probs: per step and class [n, k].
      is_first: whether no step before it in its solution is labelled wrong [n].
      groups: the steps' problems [n].
    """

    classes: tuple[int, ...]
    labels: Ints
    ratings: Ints
    probs: Floats
    is_first: npt.NDArray[np.bool_]
    groups: tuple[str, ...]

    @property
    def truth(self) -> Ints:
        """Number of the true class, per step [n]."""
        return np.searchsorted(np.array(self.classes), self.labels).astype(np.int64)

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        """Whether it is labelled -1, per step [n]."""
        found: npt.NDArray[np.bool_] = self.labels == -1
        return found


def rated_steps(scored: Sequence[tuple[Case, Scores]], label_kind: LabelKind) -> RatedSteps:
    """Return the labelled steps of all solutions.

    Args:
      scored: solutions with labels, and their scores.
      label_kind: what the labels are.
    """
    has_neutral = any(score.neutral_prob for _, scores in scored for score in scores)
    classes = (-1, 0, 1) if label_kind == "rating" and has_neutral else (-1, 1)
    labels, ratings, probs, is_first, groups = [], [], [], [], []
    for case, scores in scored:
        is_clean = True
        for label, score in zip(case.labels or (), scores, strict=True):
            if label is None:
                continue
            hard = hard_label(label, label_kind)
            labels.append(hard if len(classes) == 3 or hard == -1 else 1)
            ratings.append(score.rating if len(classes) == 3 or score.rating == -1 else 1)
            row = [score.negative_prob, score.neutral_prob, score.positive_prob]
            probs.append(row if len(classes) == 3 else [row[0], row[1] + row[2]])
            is_first.append(is_clean)
            groups.append(case.group)
            is_clean = is_clean and hard != -1
    return RatedSteps(
        classes,
        np.array(labels, dtype=np.int64),
        np.array(ratings, dtype=np.int64),
        np.array(probs, dtype=np.float64).reshape(-1, len(classes)),
        np.array(is_first, dtype=bool),
        tuple(groups),
    )


def hard_label(label: int | float, label_kind: LabelKind) -> int:
    """Return a label as -1, 0 or 1; a continuous one is wrong at 0 only."""
    if label_kind == "value":
        return -1 if label == 0 else 1
    return int(label)


def report(steps: RatedSteps) -> dict[str, Any]:
    """Return the figures over labelled steps."""
    clusters = Clusters.of_keys(steps.groups)
    badness = steps.probs[:, 0]
    correct = (steps.ratings == steps.labels).astype(float)
    counts = clusters.sums(np.ones(len(correct)))
    return {
        "problems": clusters.count,
        "steps": len(steps.labels),
        "accuracy": clusters.estimate(ratio(clusters.sums(correct), counts)).to_json(),
        "classes": {
            str(rating): _class_object(steps, rating, clusters) for rating in steps.classes
        },
        "confusion": {
            "classes": list(steps.classes),
            "rows_true_columns_rated": confusion_matrix(steps.labels, steps.ratings, steps.classes),
        },
        "negative": {
            "auroc": clusters.estimate(auroc_statistic(badness, steps.wrong, clusters)).to_json(),
            "average_precision": clusters.estimate(
                average_precision_statistic(badness, steps.wrong, clusters)
            ).to_json(),
            "base_rate": float(steps.wrong.mean()) if len(steps.labels) else None,
        },
        "first_errors": _first_errors(steps),
        "calibration": calibration(steps),
    }


def calibration(steps: RatedSteps) -> dict[str, Any]:
    """Return how far the probabilities are from frequencies.

    `gap` is their mean difference, above 0 for a model that is too sure. The expected
    calibration error `ece` has no interval: it sums distances, so every resample is biased
    upwards, and no bootstrap covers it (the bias: Kumar et al. 2019, arXiv 1909.10155).
    `rating` is the probability of the model's own rating against being right (Guo et al. 2017);
    `negative` the probability of -1 against the step being labelled -1. `nll` is the mean
    negative log-likelihood of the labels in nats, `brier` the mean squared distance summed over
    the classes.
    """
    clusters = Clusters.of_keys(steps.groups)
    counts = clusters.sums(np.ones(len(steps.labels)))
    rows = np.arange(len(steps.labels))
    rated = np.searchsorted(np.array(steps.classes), steps.ratings)
    losses = -np.log(np.maximum(steps.probs[rows, steps.truth], LEAST_PROB))
    brier = brier_terms(steps.probs, steps.truth)
    return {
        "nll": clusters.estimate(ratio(clusters.sums(losses), counts)).to_json(),
        "brier": clusters.estimate(ratio(clusters.sums(brier), counts)).to_json(),
        "num_bins": NUM_BINS,
        "rating": _reliability(steps.probs[rows, rated], steps.ratings == steps.labels, clusters),
        "negative": _reliability(steps.probs[:, 0], steps.wrong, clusters),
    }


def _reliability(
    probs: Floats, came_true: npt.NDArray[np.bool_], clusters: Clusters
) -> dict[str, Any]:
    bins = reliability_table(probs, came_true)
    inside = np.eye(NUM_BINS)[bin_numbers(probs)]
    sizes, hits = clusters.sums(inside), clusters.sums(inside * came_true[:, None])
    frequencies = [
        clusters.estimate(ratio(hits[:, number], sizes[:, number])).to_json()
        for number in range(NUM_BINS)
    ]
    gap = ratio(clusters.sums(probs - came_true), sizes.sum(axis=1))
    return {
        "ece": {"value": calibration_error(bins), "ci95": None},
        "gap": clusters.estimate(gap).to_json(),
        "bins": [{**asdict(row), "ci95": found["ci95"]} for row, found in zip(bins, frequencies)],
    }


def _class_object(steps: RatedSteps, rating: int, clusters: Clusters) -> dict[str, Any]:
    """Return a class's count, and precision, recall and F1 with their intervals."""
    is_true, is_rated = steps.labels == rating, steps.ratings == rating
    sums = clusters.sums(np.stack([is_true & is_rated, is_rated, is_true], axis=1))
    statistics = {
        "precision": ratio(sums[:, 0], sums[:, 1]),
        "recall": ratio(sums[:, 0], sums[:, 2]),
        "f1": _f1_statistic(sums),
    }
    return {
        "count": int(is_true.sum()),
        "rated": int(is_rated.sum()),
        **{name: clusters.estimate(s).to_json() for name, s in statistics.items()},
    }


def _f1_statistic(sums: Floats) -> Statistic:
    def statistic(weights: Floats) -> Floats:
        hits, rated, true = (weights @ sums).T
        return divide(2 * hits, rated + true)

    return statistic


def _first_errors(steps: RatedSteps) -> dict[str, Any]:
    """Return misses and false rejections over the steps with nothing wrong before them.

    A search acts on exactly these; the gate of the shipped models is on them too.
    """
    first = steps.is_first
    rejected, wrong = (steps.ratings == -1)[first], steps.wrong[first]
    clusters = Clusters.of_keys([g for g, kept in zip(steps.groups, first) if kept])
    sums = clusters.sums(np.stack([wrong & ~rejected, wrong, ~wrong & rejected, ~wrong], axis=1))
    return {
        "steps": int(first.sum()),
        "errors": int(wrong.sum()),
        "misses": clusters.estimate(ratio(sums[:, 0], sums[:, 1])).to_json(),
        "false_rejections": clusters.estimate(ratio(sums[:, 2], sums[:, 3])).to_json(),
    }
