"""PRMBench: does the reward model tell wrong steps from right ones, by what makes them wrong?

Song et al. 2025 (arXiv 2501.03124): F1 of the right steps and F1 of the wrong ones, over all steps
of a category; their mean is its PRM-Score. Where no step is wrong (multi_solutions) it is the
former alone. A dimension's is the mean of its categories', the overall one that of all steps
together. A step is taken for right if its P(not wrong) is above the threshold, .5 there too.

Differs in: F1 is 0 where no step is hit, where the official code says -1; original solutions, which
are in none of these figures there, are not scored. The rule by rating stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepnav.measure.prm.prmbench_rows import CATEGORIES
from stepnav.measure.prm.scores import Scored
from stepnav.measure.stats.cluster import Clusters, Floats, Statistic, divide

THRESHOLD = 0.5
WITHOUT_ERRORS = "multi_solutions"

Parts = Sequence[Sequence[int]]
"""Categories by number, each group's steps counted together."""


def report(scored: Sequence[Scored], *, threshold: float | None = None) -> dict[str, Any]:
    """Return the figures of one file.

    Args:
      scored: solutions with their scores.
      threshold: in [0, 1]; None takes the paper's.
    """
    limit = THRESHOLD if threshold is None else threshold
    by_threshold = [[score.value > limit for score in scores] for _, scores in scored]
    by_rating = [[score.rating != -1 for score in scores] for _, scores in scored]
    return {
        "threshold": limit,
        "threshold_from": "the paper" if threshold is None else "given",
        "sizes": _sizes(scored),
        "by_threshold": figures(scored, by_threshold),
        "by_rating": figures(scored, by_rating),
    }


def figures(scored: Sequence[Scored], taken: Sequence[Sequence[bool]]) -> dict[str, Any]:
    """Return PRM-Score, F1 and negative F1: overall, per dimension, per category of the file.

    Args:
      scored: solutions; their scores are not looked at.
      taken: per solution and step, whether the step is taken for right.
    """
    clusters = Clusters.of_keys([case.group for case, _ in scored])
    names = [name for name in CATEGORIES if any(case.category == name for case, _ in scored)]
    counts = clusters.sums(_counts(scored, taken, names).reshape(len(scored), -1))
    numbers = range(len(names))
    dimensions = {
        dimension: [n for n in numbers if CATEGORIES[names[n]][1] == dimension]
        for dimension in dict.fromkeys(CATEGORIES[name][1] for name in names)
    }

    def figure(parts: Parts, has_errors: Sequence[bool]) -> dict[str, Any]:
        statistic = _statistic(counts, len(names), parts, has_errors)
        return clusters.estimate(statistic).to_json()

    found: dict[str, Any] = {"overall": {"prm_score": figure([numbers], [True])}}
    found["overall"] |= _f1_pair(counts.sum(0).reshape(-1, 4).sum(0))
    for dimension, members in dimensions.items():
        has_errors = [names[n] != WITHOUT_ERRORS for n in members]
        found[dimension] = {"prm_score": figure([[n] for n in members], has_errors)}
    for n in numbers:
        found[names[n]] = {"prm_score": figure([[n]], [names[n] != WITHOUT_ERRORS])}
        found[names[n]] |= _f1_pair(counts.sum(0).reshape(-1, 4)[n])
    return found


def _counts(
    scored: Sequence[Scored], taken: Sequence[Sequence[bool]], names: Sequence[str]
) -> Floats:
    """Return right steps taken for right, wrong ones for right, wrong for wrong, right for wrong.

    Returns:
      [solutions, categories, 4].
    """
    counts = np.zeros((len(scored), len(names), 4))
    for number, ((case, _), steps) in enumerate(zip(scored, taken)):
        assert case.category is not None and case.labels is not None, "cases are of this kind"
        for label, is_right in zip(case.labels, steps):
            place = (0 if label == 1 else 1) if is_right else (2 if label == -1 else 3)
            counts[number, names.index(case.category), place] += 1
    return counts


def _statistic(
    counts: Floats, num_categories: int, parts: Parts, has_errors: Sequence[bool]
) -> Statistic:
    """Return the mean PRM-Score of parts, each a group of categories that are counted together."""

    def statistic(weights: Floats) -> Floats:
        drawn = (weights @ counts).reshape(len(weights), num_categories, 4)
        scores = []
        for members, has_error in zip(parts, has_errors):
            positive, negative = _f1s(drawn[:, list(members)].sum(axis=1))
            scores.append((positive + negative) / 2 if has_error else positive)
        mean: Floats = np.mean(scores, axis=0)
        return mean

    return statistic


def _f1s(counts: Floats) -> tuple[Floats, Floats]:
    """Return F1 of the right and of the wrong steps, of counts [..., 4]; NaN if there is none."""
    right, missed, found, alarms = (counts[..., n] for n in range(4))
    errors = missed + alarms
    return divide(2 * right, 2 * right + errors), divide(2 * found, 2 * found + errors)


def _f1_pair(counts: Floats) -> dict[str, float | None]:
    pair = (None if np.isnan(value[0]) else float(value[0]) for value in _f1s(counts[None]))
    return dict(zip(("f1", "negative_f1"), pair))


def _sizes(scored: Sequence[Scored]) -> Mapping[str, Mapping[str, int]]:
    sizes = {}
    for name in ("overall", *CATEGORIES):
        cases = [case for case, _ in scored if name in ("overall", case.category)]
        labels = [label for case in cases for label in case.labels or ()]
        sizes[name] = {
            "solutions": len(cases), "steps": len(labels), "wrong": labels.count(-1),
        }  # fmt: skip
    return {name: size for name, size in sizes.items() if size["solutions"]}
