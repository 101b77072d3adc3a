"""ProcessBench: does the reward model find the first wrong step?

Zheng et al. 2024 (arXiv 2412.06559): a solution's first error is the first step whose
score is below a threshold, none if no step's is. Error accuracy is the share of wrong solutions
whose first error is found exactly, correct accuracy the share of right ones in which none is found,
F1 their harmonic mean.

Differs in: the paper chooses the threshold on its GSM8K part and reports on all parts; here it is
chosen on a part of the file's own problems, and the figures are on the rest. The rule by rating
(the first step rated -1) needs no threshold.

Beside the model stand two rules that know nothing of what a step says: lots, and length. In the
paper's GSM8K part wrong steps are longer than others, so that length alone tells many of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepnav.measure.prm.case import Case
from stepnav.measure.prm.scores import Scored, Scores, split_by_problem
from stepnav.measure.stats.cluster import Clusters, Floats, Statistic, divide
from stepnav.measure.stats.intervals import accuracy
from stepnav.measure.stats.ranking import auroc_statistic

DEV_SHARE = 0.25
"""Share of the problems that the threshold is chosen on."""

CURVE_POINTS = 101


@dataclass(frozen=True, slots=True)
class Detection:
    """One solution and where a rule finds its first error.

    Attributes:
      group: its problem.
      truth: its first wrong step, None for none.
      found: the one that the rule finds.
    """

    group: str
    truth: int | None
    found: int | None

    @property
    def is_hit(self) -> bool:
        """Whether the rule is exactly right."""
        return self.truth == self.found


def report(
    scored: Sequence[Scored],
    *,
    threshold: float | None = None,
    dev_share: float = DEV_SHARE,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the figures of one file.

    Args:
      scored: solutions with their scores.
      threshold: in [0, 1]; None chooses it on a dev part.
      dev_share: share of the problems that are the dev part, in (0, 1).
      seed: chooses which problems.
    """
    dev: Sequence[Scored] = ()
    test = scored
    given = threshold is not None
    if threshold is None:
        dev, test = split_by_problem(scored, dev_share, seed, name="dev")
        threshold = best_threshold([_values(s) for _, s in dev], [c.first_error for c, _ in dev])
    chosen = threshold
    return {
        "threshold": threshold,
        "threshold_from": "given" if given else "dev" if threshold is not None else None,
        "seed": None if given else seed,
        "dev": None if given else {**_sizes(dev), **_plain(dev, chosen)},
        "test": _sizes(test),
        "by_threshold": None
        if chosen is None
        else figures([_detection(c, first_below(_values(s), chosen)) for c, s in test]),
        "by_rating": figures([_detection(c, first_rejected(s)) for c, s in test]),
        "by_rating_all": figures([_detection(c, first_rejected(s)) for c, s in scored]),
        "by_chance": by_chance([c for c, _ in test]),
        "by_length": by_length([c for c, _ in dev], [c for c, _ in test]),
        "auroc_first_errors": _first_error_auroc(test),
        "curve": curve(test),
    }


def first_below(values: Sequence[float], threshold: float) -> int | None:
    """Return the first step whose score is below the threshold, None for none."""
    return next((index for index, value in enumerate(values) if value < threshold), None)


def first_rejected(scores: Scores) -> int | None:
    """Return the first step that is rated -1, None for none."""
    return next((index for index, score in enumerate(scores) if score.rating == -1), None)


def best_threshold(
    values: Sequence[Sequence[float]], first_errors: Sequence[int | None]
) -> float | None:
    """Return the threshold with the highest F1, the middle one of equals.

    Only thresholds between two scores, and 0 and 1, can differ. A wrong solution is a hit between
    its first error's score and the lowest one before it, a right one up to its lowest score, so
    all thresholds are judged by two sorts.

    Args:
      values: per solution the scores of its steps.
      first_errors: per solution the first wrong step, None for none.
    Returns:
      None if one of the two kinds of solutions is missing.
    """
    spans = [
        (steps[error], min(steps[:error], default=np.inf))
        for steps, error in zip(values, first_errors)
        if error is not None
    ]
    floors = np.sort([min(steps) for steps, error in zip(values, first_errors) if error is None])
    if not spans or not len(floors):
        return None
    open_spans = [span for span in spans if span[0] < span[1]]
    lows = np.sort([low for low, _ in open_spans])
    highs = np.sort([high for _, high in open_spans])
    known = np.unique([value for steps in values for value in steps])
    candidates = np.unique(np.r_[0.0, (known[1:] + known[:-1]) / 2, 1.0])
    started = np.searchsorted(lows, candidates, side="left")
    ended = np.searchsorted(highs, candidates, side="left")
    error_accuracy = (started - ended) / len(spans)
    correct_accuracy = 1 - np.searchsorted(floors, candidates, side="left") / len(floors)
    f1 = harmonic_mean(error_accuracy, correct_accuracy)
    best = candidates[f1 == f1.max()]
    return float(best[(len(best) - 1) // 2])


def harmonic_mean(first: Floats, second: Floats) -> Floats:
    """Return the harmonic mean, 0 where both are 0."""
    total = first + second
    return np.divide(2 * first * second, total, out=np.zeros_like(total), where=total > 0)


def figures(detections: Sequence[Detection]) -> dict[str, Any]:
    """Return error accuracy, correct accuracy and F1, each with its 95% interval."""
    clusters = Clusters.of_keys([detection.group for detection in detections])
    return {
        "error_accuracy": _accuracy([d for d in detections if d.truth is not None]),
        "correct_accuracy": _accuracy([d for d in detections if d.truth is None]),
        "f1": clusters.estimate(_f1_statistic(detections, clusters)).to_json(),
    }


def by_chance(cases: Sequence[Case]) -> dict[str, Any] | None:
    """Return what is expected of calling each step wrong by lot, at the rate with the highest F1.

    A model below it knows nothing of where solutions go wrong, whatever its F1. None where one of
    the two kinds of solutions is missing.
    """
    before = np.array([c.first_error for c in cases if c.first_error is not None])
    lengths = np.array([len(c.steps) for c in cases if c.first_error is None])
    if not len(before) or not len(lengths):
        return None
    rates = np.linspace(0, 1, CURVE_POINTS)
    error = (rates * (1 - rates) ** before[:, None]).mean(axis=0)
    correct = ((1 - rates) ** lengths[:, None]).mean(axis=0)
    f1 = harmonic_mean(error, correct)
    best = int(f1.argmax())
    expected = {"error_accuracy": error, "correct_accuracy": correct, "f1": f1}
    found = {name: {"value": float(x[best]), "ci95": None} for name, x in expected.items()}
    return {"rate": float(rates[best]), **found}


def by_length(dev: Sequence[Case], test: Sequence[Case]) -> dict[str, Any] | None:
    """Return what calling the first step wrong that is longer than others comes to.

    How long is chosen on the dev part. None where that lacks one of the two kinds of solutions.
    """

    def brief(case: Case) -> list[float]:
        return [1 / (1 + len(step)) for step in case.steps]  # in [0, 1], as scores are

    threshold = best_threshold([brief(c) for c in dev], [c.first_error for c in dev])
    if not threshold:
        return None
    found = [_detection(case, first_below(brief(case), threshold)) for case in test]
    return {"characters": math.floor(1 / threshold - 1), **figures(found)}


def curve(scored: Sequence[Scored]) -> list[list[float | None]]:
    """Return (threshold, error accuracy, correct accuracy, F1) on an even grid over [0, 1]."""
    rows = []
    for threshold in np.linspace(0, 1, CURVE_POINTS).tolist():
        plain = _plain(scored, threshold)
        rows.append([threshold, plain["error_accuracy"], plain["correct_accuracy"], plain["f1"]])
    return rows


def _values(scores: Scores) -> list[float]:
    return [score.value for score in scores]


def _detection(case: Case, found: int | None) -> Detection:
    return Detection(case.group, case.first_error, found)


def _sizes(scored: Sequence[Scored]) -> dict[str, int]:
    return {
        "problems": len({case.group for case, _ in scored}),
        "solutions": len(scored),
        "with_error": sum(case.first_error is not None for case, _ in scored),
    }


def _plain(scored: Sequence[Scored], threshold: float | None) -> dict[str, float | None]:
    """Return the three figures without intervals."""
    if threshold is None:
        return {"error_accuracy": None, "correct_accuracy": None, "f1": None}
    detections = [
        _detection(case, first_below(_values(scores), threshold)) for case, scores in scored
    ]
    wrong = [d.is_hit for d in detections if d.truth is not None]
    right = [d.is_hit for d in detections if d.truth is None]
    error = sum(wrong) / len(wrong) if wrong else None
    correct = sum(right) / len(right) if right else None
    f1 = None
    if error is not None and correct is not None:
        f1 = float(harmonic_mean(np.array(error), np.array(correct)))
    return {"error_accuracy": error, "correct_accuracy": correct, "f1": f1}


def _accuracy(detections: Sequence[Detection]) -> dict[str, Any]:
    grades: dict[str, list[bool | None]] = {}
    for detection in detections:
        grades.setdefault(detection.group, []).append(detection.is_hit)
    found = accuracy(grades)
    ends = found.interval and found.interval.ends
    return {"value": found.value, "ci95": ends, "hits": found.correct, "solutions": found.total}


def _f1_statistic(detections: Sequence[Detection], clusters: Clusters) -> Statistic:
    rows = [[d.truth is not None, d.truth is None] for d in detections]
    counts = clusters.sums(np.array(rows, dtype=float).reshape(-1, 2))
    hits = [[d.is_hit and wrong, d.is_hit and right] for d, (wrong, right) in zip(detections, rows)]
    hit_counts = clusters.sums(np.array(hits, dtype=float).reshape(-1, 2))

    def statistic(weights: Floats) -> Floats:
        shares = divide(weights @ hit_counts, weights @ counts)
        total = shares.sum(axis=1)
        found = harmonic_mean(shares[:, 0], shares[:, 1])
        return np.where(np.isnan(total), np.nan, found)

    return statistic


def _first_error_auroc(scored: Sequence[Scored]) -> dict[str, Any]:
    """Return how well scores tell first errors from the steps before or without one."""
    badness, wrong, groups = [], [], []
    for case, scores in scored:
        end = len(scores) if case.first_error is None else case.first_error + 1
        for index, score in enumerate(scores[:end]):
            badness.append(-score.value)
            wrong.append(index == case.first_error)
            groups.append(case.group)
    clusters = Clusters.of_keys(groups)
    statistic = auroc_statistic(np.array(badness), np.array(wrong, dtype=bool), clusters)
    return clusters.estimate(statistic).to_json()
