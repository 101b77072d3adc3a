"""Votes over answers.

Plain votes: self-consistency (Wang et al. 2022, arXiv 2203.11171). Weighted votes: verifier voting
(Li et al. 2022, arXiv 2206.02336).
"""

from __future__ import annotations

from collections.abc import Sequence


def count_votes(
    answers: Sequence[str | None], weights: Sequence[float] | None = None
) -> dict[str, float]:
    """Return answer -> summed weight, heaviest first; ties keep the order of first appearance.

    Args:
      answers: canonical answers; None (no answer was found) does not vote.
      weights: one per answer, none negative; None gives each answer one vote.
    Raises:
      ValueError: lengths differ, or a weight is negative.
    """
    if weights is None:
        weights = [1.0] * len(answers)
    if len(weights) != len(answers):
        raise ValueError(f"need one weight per answer (got {len(weights)} for {len(answers)})")
    totals: dict[str, float] = {}
    for answer, weight in zip(answers, weights):
        if not weight >= 0:
            raise ValueError(f"a vote's weight must not be negative (got {weight})")
        if answer is not None:
            totals[answer] = totals.get(answer, 0.0) + weight
    return dict(sorted(totals.items(), key=lambda item: -item[1]))
