"""Figures over rated steps: shares, precision and recall per class, ranking of the wrong ones.

What cannot be counted is None, never 0. Intervals stand in `bench`, which resamples whole problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CLASSES = (-1, 0, 1)
"""PRM800K's ratings."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def share(hits: npt.NDArray[Any]) -> float | None:
    """Return the share that is true, None of nothing."""
    return float(np.mean(hits)) if len(hits) else None


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


def confusion_matrix(
    truth: npt.NDArray[Any], rated: npt.NDArray[Any], classes: Sequence[int] = CLASSES
) -> list[list[int]]:
    """Return counts: one row per true class, one column per rated class."""
    return [[int(((truth == t) & (rated == r)).sum()) for r in classes] for t in classes]


def auroc(scores: Floats, positive: Bools) -> float | None:
    """Return the chance that a positive scores higher than a negative, ties counting half."""
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_ranks[inverse][positive].sum())
    return (rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative)
