"""The gate that a step rater must pass, and the figures that decide it.

Only steps with nothing wrong before them count: the first errors, and the right steps before or
without one. A search acts on exactly these. The gate: at most 10% of the first errors missed, at
most 5% of the right steps rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepnav.labels.metrics import CLASSES, auroc, class_row, confusion_matrix, share

MAX_MISSES = 0.10
MAX_FALSE_REJECTIONS = 0.05


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
    is_passed = (
        misses is not None
        and rejections is not None
        and misses <= MAX_MISSES
        and rejections <= MAX_FALSE_REJECTIONS
    )
    return {
        "num_steps": len(truth),
        "num_first_errors": int(wrong.sum()),
        "misses": misses,
        "false_rejections": rejections,
        "is_passed": is_passed,
        "auroc": auroc(np.asarray(negative_probs), wrong),
        "classes": {str(rating): class_row(truth, rated, rating) for rating in CLASSES},
        "confusion": confusion_matrix(truth, rated),
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
