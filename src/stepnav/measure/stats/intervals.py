"""How often a strategy is right, and how sure that is.

The unit is the problem: repeats of one problem under other seeds are not independent, so all
resampling draws whole problems with all their repeats (cluster bootstrap; Davison and Hinkley 1997,
section 3.8). A grade is True, False, or None where the grader could not decide; None is left out
of the accuracy and counted beside it, never taken as wrong.

Intervals are bias-corrected and accelerated bootstrap intervals (BCa; Efron 1987). Where fewer than
`MIN_UNITS` problems' worth of right or of wrong answers were seen, the bootstrap fails (it gives no
width at all at 0 and 1), and the exact interval takes its place (Clopper and Pearson 1934), with
problems as trials, so that repeats never narrow it. Both are deterministic, and neither depends on
the order of problems.

Comparisons of two strategies stand in `paired.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

from stepnav.measure.extras import load

Grade = bool | None
Grades = Mapping[str, Sequence[Grade]]
"""Problem id -> one grade per repeat, in the order of repeats."""

LEVEL = 0.95
NUM_RESAMPLES = 10_000
BOOTSTRAP_SEED = 20231016
MIN_UNITS = 5
"""With fewer right (or wrong) problems than this, accuracy gets the exact interval."""

Method = Literal["bootstrap", "exact"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95% confidence interval, and how it was found."""

    low: float
    high: float
    method: Method

    @property
    def ends(self) -> list[float]:
        """Both ends, as JSON has them."""
        return [self.low, self.high]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share of right answers.

    Attributes:
      value: `correct` / `total`; None if nothing was graded.
      interval: 95% interval; None if nothing was graded.
      correct: searches graded right.
      total: searches graded right or wrong.
      ungraded: searches that could not be graded.
      problems: problems with at least one graded search.
    """

    value: float | None
    interval: Interval | None
    correct: int
    total: int
    ungraded: int
    problems: int

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The accuracy if every ungraded search were wrong, and if every one were right."""
        searches = self.total + self.ungraded
        if searches == 0:
            return None
        return self.correct / searches, (self.correct + self.ungraded) / searches


@dataclass(frozen=True, slots=True)
class PassAtK:
    """Chance that at least one of k samples is right.

    Attributes:
      k: number of samples.
      value: mean over the problems that have at least k graded samples; None if none has.
      problems: how many have.
      short: how many have fewer and are left out.
    """

    k: int
    value: float | None
    problems: int
    short: int


def accuracy(grades: Grades) -> Accuracy:
    """Return the share of right answers with its 95% interval.

    Args:
      grades: problem id -> one grade per repeat.
    """
    pairs = [count_grades(repeats) for repeats in grades.values()]
    ungraded = sum(len(repeats) for repeats in grades.values()) - sum(n for _, n in pairs)
    units = [pair for pair in pairs if pair[1] > 0]
    correct = sum(right for right, _ in units)
    total = sum(graded for _, graded in units)
    if total == 0:
        return Accuracy(None, None, 0, 0, ungraded, 0)
    interval = _share_interval(units)
    return Accuracy(correct / total, interval, correct, total, ungraded, len(units))


def _share_interval(units: Sequence[tuple[float, float]]) -> Interval:
    """Return the interval of sum(first) / sum(second) over problems: exact at the ends, or BCa."""
    share = sum(top for top, _ in units) / sum(bottom for _, bottom in units)
    right_units = share * len(units)
    if min(right_units, len(units) - right_units) < MIN_UNITS:
        return exact_interval(right_units, len(units))
    return ratio_interval(units)


def count_grades(repeats: Iterable[Grade]) -> tuple[int, int]:
    """Return how many are right, and how many are graded at all."""
    graded = [grade for grade in repeats if grade is not None]
    return sum(graded), len(graded)


def exact_interval(right: float, trials: float, level: float = LEVEL) -> Interval:
    """Return the Clopper-Pearson interval of a share.

    Args:
      right: successes, 0 to `trials`; may lie between whole numbers (a problem right in half of
        its repeats counts half), as the interval's beta quantiles are defined there too.
      trials: more than 0.
      level: its coverage is at least this.
    """
    if not 0 <= right <= trials or trials == 0:
        raise ValueError(f"need 0 <= right <= trials and trials > 0 (got {right} of {trials})")
    quantile = load("scipy.special").betaincinv
    tail = (1 - level) / 2
    low = 0.0 if right == 0 else float(quantile(right, trials - right + 1, tail))
    high = 1.0 if right == trials else float(quantile(right + 1, trials - right, 1 - tail))
    return Interval(low, high, "exact")


def ratio_interval(units: Sequence[tuple[float, float]], level: float = LEVEL) -> Interval:
    """Return the BCa bootstrap interval of sum(first) / sum(second) over problems.

    Problems with the same pair are interchangeable, so a resample is one multinomial draw over the
    distinct pairs: the same distribution as drawing problems, at a fraction of the work.

    Args:
      units: one pair per problem, the second number positive.
      level: nominal coverage.
    """
    np = load("numpy")
    counts = Counter(units)
    kinds = sorted(counts)
    top = np.array([kind[0] for kind in kinds], dtype=float)
    bottom = np.array([kind[1] for kind in kinds], dtype=float)
    weights = np.array([counts[kind] for kind in kinds], dtype=float)
    size = len(units)
    estimate = float(top @ weights / (bottom @ weights))
    draws = np.random.default_rng(BOOTSTRAP_SEED).multinomial(
        size, weights / size, size=NUM_RESAMPLES
    )
    resampled = np.sort((draws @ top) / (draws @ bottom))
    left_out = _leave_one_out(top, bottom, weights)
    low, high = bca_levels(resampled, estimate, left_out, weights, level)
    return Interval(
        float(np.quantile(resampled, low)), float(np.quantile(resampled, high)), "bootstrap"
    )


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float | None:
    """Return the unbiased estimate of pass@k for one problem, None with fewer than k samples.

    1 - C(n - c, k) / C(n, k): Chen et al. 2021 (arXiv 2107.03374), equation 1.

    Example:
      >>> pass_at_k(4, 1, 2)
      0.5
    """
    if k < 1 or not 0 <= num_correct <= num_samples:
        raise ValueError(
            f"need k >= 1 and 0 <= num_correct <= num_samples (got k={k}, {num_correct} "
            f"of {num_samples})"
        )
    if num_samples < k:
        return None
    misses, draws = math.comb(num_samples - num_correct, k), math.comb(num_samples, k)
    return (draws - misses) / draws


def mean_pass_at_k(grades: Grades, k: int) -> PassAtK:
    """Return pass@k over all problems that have at least k graded samples."""
    known = _known_pass_at_k(grades, k)
    value = math.fsum(known) / len(known) if known else None
    return PassAtK(k, value, len(known), len(grades) - len(known))


def pass_at_k_interval(grades: Grades, k: int) -> Interval:
    """Return the 95% interval of `mean_pass_at_k`, over problems; one must have k samples."""
    return _share_interval([(value, 1) for value in _known_pass_at_k(grades, k)])


def _known_pass_at_k(grades: Grades, k: int) -> list[float]:
    """Return pass@k of the problems that have at least k graded samples."""
    counts = (count_grades(repeats) for repeats in grades.values())
    values = (pass_at_k(graded, right, k) for right, graded in counts)
    return [value for value in values if value is not None]


def _leave_one_out(top: Any, bottom: Any, weights: Any) -> Any:
    """Return the ratio without one problem of each kind; NaN where nothing would be left."""
    np = load("numpy")
    rest_top, rest_bottom = top @ weights - top, bottom @ weights - bottom
    blank = np.full_like(rest_top, np.nan)
    return np.divide(rest_top, rest_bottom, out=blank, where=rest_bottom > 0)


def bca_levels(
    resampled: Any, estimate: float, left_out: Any, weights: Any, level: float
) -> tuple[float, float]:
    """Return the two levels at which BCa reads the sorted bootstrap distribution.

    The bias takes half of the resamples that equal the estimate, because accuracies are discrete.
    """
    np = load("numpy")
    normal = NormalDist()
    margin = 1e-12
    below = np.count_nonzero(resampled < estimate - margin)
    same = np.count_nonzero(np.abs(resampled - estimate) <= margin)
    share = min(max((below + same / 2) / len(resampled), 1 / len(resampled)), 1 - 1e-4)
    bias = normal.inv_cdf(share)
    known = ~np.isnan(left_out)
    gaps = np.average(left_out[known], weights=weights[known]) - left_out[known]
    spread = float(weights[known] @ gaps**2)
    skew = float(weights[known] @ gaps**3)
    acceleration = skew / (6 * spread**1.5) if spread > 0 else 0.0
    levels = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        shifted = bias + normal.inv_cdf(tail)
        levels.append(normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    return levels[0], levels[1]
