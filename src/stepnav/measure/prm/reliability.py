"""Whether a probability means what it says: reliability, expected calibration error, Brier score.

Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599), section 2: equal
bins, the gap between mean confidence and accuracy in each, weighted by how many items it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepnav.measure.stats.cluster import Floats

NUM_BINS = 15
"""As in Guo et al. 2017, section 5."""


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability table.

    Attributes:
      low, high: its bounds; a probability equal to `high` belongs to the next bin, 1 to the last.
      count: items in it.
      confidence: their mean probability; None if there are none.
      frequency: the share of them for which it came true; None if there are none.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    frequency: float | None


def reliability_table(
    probs: Floats, came_true: npt.NDArray[np.bool_], num_bins: int = NUM_BINS
) -> list[Bin]:
    """Return one row per bin.

    Args:
      probs: per item [n], in [0, 1].
      came_true: whether what they are the probability of is so [n].
      num_bins: bins of equal width.
    """
    number = bin_numbers(probs, num_bins)
    bins = []
    for index in range(num_bins):
        inside = number == index
        count = int(inside.sum())
        confidence = float(probs[inside].mean()) if count else None
        frequency = float(came_true[inside].mean()) if count else None
        low, high = index / num_bins, (index + 1) / num_bins
        bins.append(Bin(low, high, count, confidence, frequency))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the expected calibration error, None of nothing."""
    total = sum(row.count for row in bins)
    gaps = [
        row.count * abs(row.confidence - row.frequency)
        for row in bins
        if row.confidence is not None and row.frequency is not None
    ]
    return sum(gaps) / total if total else None


def bin_numbers(probs: Floats, num_bins: int = NUM_BINS) -> npt.NDArray[np.int64]:
    """Return the bin of each probability."""
    return np.minimum((probs * num_bins).astype(np.int64), num_bins - 1)


def brier_terms(probs: Floats, truth: npt.NDArray[np.int64]) -> Floats:
    """Return each item's squared distance from the truth, summed over the classes (Brier 1950).

    Args:
      probs: per item and class [n, k].
      truth: number of the true class [n].
    """
    terms: Floats = ((probs - np.eye(probs.shape[1])[truth]) ** 2).sum(axis=1)
    return terms
