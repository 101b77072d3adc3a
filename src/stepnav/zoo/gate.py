"""The gate that a step rater must pass, and the figures that decide it.

Only steps with nothing wrong before them count: the first errors, and the right steps before or without one. A search acts
on exactly these. The gate: at most 10% of the first errors missed, at most 5% of the right steps rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_MISSES = 0.10
MAX_FALSE_REJECTIONS = 0.05
CLASSES = (-1, 0, 1)

Floats = npt.NDArray[np.float64]


def gate_report(
    labels: Sequence[int], ratings: Sequence[int], negative_probs: Sequence[float]
) -> dict[str, Any]:
    """Return the gate's figures for a three-class rater.

    Args:
      labels: the checker's rating of each step.
      ratings: the rater's.
      negative_probs: the rater's probability of -1.
    """
    truth, rated = np.asarray(labels), np.asarray(ratings)
    wrong = truth == -1
    misses = share(rated[wrong] != -1)
    rejections = share(rated[~wrong] == -1)
    passed = misses is not None and rejections is not None
    return {
        "num_steps": len(truth),
        "num_first_errors": int(wrong.sum()),
        "misses": misses,
        "false_rejections": rejections,
        "is_passed": passed and misses <= MAX_MISSES and rejections <= MAX_FALSE_REJECTIONS,  # type: ignore[operator]
        "auroc": auroc(np.asarray(negative_probs), wrong),
        "classes": {str(rating): class_row(truth, rated, rating) for rating in CLASSES},
        "confusion": [[int(((truth == t) & (rated == r)).sum()) for r in CLASSES] for t in CLASSES],
    }


def class_row(truth: npt.NDArray[Any], rated: npt.NDArray[Any], rating: int) -> dict[str, Any]:
    """Return count, precision, recall and F1 of one class; None where there is nothing to count."""
    hits = int(((truth == rating) & (rated == rating)).sum())
    count, num_rated = int((truth == rating).sum()), int((rated == rating).sum())
    return {
        "count": count,
        "precision": share(truth[rated == rating] == rating),
        "recall": share(rated[truth == rating] == rating),
        "f1": 2 * hits / (count + num_rated) if count + num_rated else None,
    }


def threshold_report(labels: Sequence[int], badness: Sequence[float]) -> dict[str, Any]:
    """Return what a continuous rater reaches at 1% and at 5% false rejections, and its AUROC.

    Args:
      labels: the checker's rating of each step.
      badness: higher is worse.
    """
    wrong = np.asarray(labels) == -1
    scores = np.asarray(badness, dtype=np.float64)
    misses: dict[str, float | None] = {}
    for percent in (1, 5):
        limit = np.quantile(scores[~wrong], 1 - percent / 100) if (~wrong).any() else np.inf
        missed = share(scores[wrong] <= limit) if (~wrong).any() else None
        misses[f"misses_at_{percent}_percent_rejections"] = missed
    return {"auroc": auroc(scores, wrong), **misses}


def share(hits: npt.NDArray[Any]) -> float | None:
    """Return the share that is true, None of nothing."""
    return float(np.mean(hits)) if len(hits) else None


def auroc(scores: Floats, positive: npt.NDArray[np.bool_]) -> float | None:
    """Return the chance that a positive scores higher than a negative, ties counting half."""
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_ranks[inverse][positive].sum())
    return (rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative)
