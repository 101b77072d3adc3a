"""How well a score puts the positives first: AUROC and average precision, problems weighted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stepnav.measure.stats.cluster import Clusters, Floats, Statistic, divide, ratio


def auroc_statistic(
    scores: Floats, positive: npt.NDArray[np.bool_], clusters: Clusters
) -> Statistic:
    """Return the chance that a positive scores higher than another, ties counting half.

    Pooled over problems: scores that tell easy problems from hard ones are better than chance.

    Args:
      scores: per item [n].
      positive: which items are positive [n].
      clusters: the items' problems.
    """
    order, starts = _tied(scores)

    def statistic(weights: Floats) -> Floats:
        right, wrong = _sums(weights[:, clusters.of[order]], positive[order], starts)
        below = np.cumsum(wrong, axis=1) - wrong / 2
        return divide((right * below).sum(axis=1), right.sum(axis=1) * wrong.sum(axis=1))

    return statistic


def within_auroc_statistic(
    scores: Floats, positive: npt.NDArray[np.bool_], clusters: Clusters
) -> Statistic:
    """Return the chance that a positive scores higher than another item of its own problem.

    Each such pair counts alike, ties half; a problem with items of one kind alone has none.

    Args:
      scores: per item [n].
      positive: which items are positive [n].
      clusters: the items' problems.
    """
    concordant, pairs = np.zeros(clusters.count), np.zeros(clusters.count)
    order = np.argsort(clusters.of, kind="stable")
    sizes = np.bincount(clusters.of, minlength=clusters.count)
    for problem, own in zip(range(clusters.count), np.split(order, np.cumsum(sizes)[:-1])):
        right, wrong = scores[own][positive[own]], np.sort(scores[own][~positive[own]])
        below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
        concordant[problem], pairs[problem] = below.sum() / 2, len(right) * len(wrong)
    return ratio(concordant, pairs)


def average_precision_statistic(
    scores: Floats, positive: npt.NDArray[np.bool_], clusters: Clusters
) -> Statistic:
    """Return the mean precision over the positives, in falling order of score; ties stand together.

    Args:
      scores: per item [n].
      positive: which items are positive [n].
      clusters: the items' problems.
    """
    order, starts = _tied(-scores)

    def statistic(weights: Floats) -> Floats:
        right, wrong = _sums(weights[:, clusters.of[order]], positive[order], starts)
        hits = np.cumsum(right, axis=1)
        precision = np.nan_to_num(divide(hits, hits + np.cumsum(wrong, axis=1)))
        return divide((right * precision).sum(axis=1), right.sum(axis=1))

    return statistic


def _tied(scores: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rising order, and where in it each group of equal scores begins."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return order.astype(np.int64), starts.astype(np.int64)


def _sums(
    weights: Floats, positive: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return the weight of the positives and of the rest in each group of equal scores."""
    right: Floats = np.add.reduceat(weights * positive, starts, axis=1)
    wrong: Floats = np.add.reduceat(weights * ~positive, starts, axis=1)
    return right, wrong
