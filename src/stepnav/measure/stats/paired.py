"""Whether one strategy is better than another, on the same problems and seeds.

Every comparison is paired: the two searches of the same problem and repeat. A pair counts if both
were graded. The problem is the unit, as in `stats.py`.

The test is McNemar's exact test (McNemar 1947; the sign test on the problems where the two differ).
When seeds repeat, pairs of one problem are not independent, and McNemar's test on all pairs would
be too sure of itself. Then each problem counts with its own difference (wins minus losses over its
repeats), and the test asks how often a random flip of the problems' signs gives a total as large:
the exact sign-flip permutation test (Fisher 1935, section 21), computed in full and not sampled.
With one seed the two are the same test.

Several comparisons in one table are corrected together (Holm 1979).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stepnav.measure.extras import load
from stepnav.measure.stats.intervals import (
    MIN_UNITS,
    Grades,
    Interval,
    exact_interval,
    ratio_interval,
)

MIN_DISCORDANT = 10
"""With fewer problems that differ than this, the exact interval is taken.

So it is where fewer than `MIN_UNITS` problems have another outcome than the most frequent one:
almost all won, say.
"""

TestName = Literal["mcnemar", "sign-flip"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A strategy against a baseline.

    Attributes:
      difference: accuracy minus the baseline's, over the pairs; None without pairs.
      interval: its 95% interval; None without pairs.
      won: pairs that only the strategy got right.
      lost: pairs that only the baseline got right.
      pairs: pairs that were graded on both sides.
      missing: pairs that lack a grade or a search on one side.
      p: two-sided p-value; None without pairs.
      test: "mcnemar", or "sign-flip" if a problem has several pairs.
    """

    difference: float | None
    interval: Interval | None
    won: int
    lost: int
    pairs: int
    missing: int
    p: float | None
    test: TestName


def compare(grades: Grades, baseline: Grades) -> Comparison:
    """Return how a strategy's accuracy differs from a baseline's.

    Args:
      grades: problem id -> one grade per repeat.
      baseline: the same for the baseline; the same position is the same repeat.
    """
    units: list[tuple[int, int]] = []
    won = lost = missing = most = 0
    for problem_id in sorted({*grades, *baseline}):
        ours, theirs = list(grades.get(problem_id, ())), list(baseline.get(problem_id, ()))
        both = [(a, b) for a, b in zip(ours, theirs) if a is not None and b is not None]
        missing += max(len(ours), len(theirs)) - len(both)
        wins = sum(a and not b for a, b in both)
        losses = sum(b and not a for a, b in both)
        won, lost, most = won + wins, lost + losses, max(most, len(both))
        if both:
            units.append((wins - losses, len(both)))
    test: TestName = "sign-flip" if most > 1 else "mcnemar"
    pairs = sum(count for _, count in units)
    if not pairs:
        return Comparison(None, None, 0, 0, 0, missing, None, test)
    return Comparison(
        difference=sum(gain for gain, _ in units) / pairs,
        interval=_difference_interval(units),
        won=won,
        lost=lost,
        pairs=pairs,
        missing=missing,
        p=sign_flip_p([gain for gain, _ in units]),
        test=test,
    )


def mcnemar_p(won: int, lost: int) -> float:
    """Return McNemar's exact two-sided p-value: a fair coin's chance of a split as uneven.

    In whole numbers, so that it stays exact far below the smallest float step from 1.

    Example:
      >>> mcnemar_p(9, 1)
      0.021484375
    """
    if won < 0 or lost < 0:
        raise ValueError(f"counts must not be negative (got {won} and {lost})")
    if won == lost:
        return 1.0
    discordant = won + lost
    tail: int = 1
    term: int = 1
    for index in range(min(won, lost)):
        term = term * (discordant - index) // (index + 1)
        tail += term
    chance: float = 2 * tail / 2**discordant
    return min(1.0, chance)


def sign_flip_p(gains: Sequence[int]) -> float:
    """Return the exact two-sided sign-flip p-value of a sum of whole differences.

    The share of the 2^n ways to flip the signs of the differences for which the sum is at least as
    far from 0. Differences of equal size are one binomial; their distributions are convolved, and
    the tail is summed directly, so small p-values keep their relative precision.

    Example:
      >>> sign_flip_p([2, 1, 1, 0, -1])
      0.5
    """
    sizes = Counter(abs(gain) for gain in gains if gain)
    total = abs(sum(gains))
    if total == 0:
        return 1.0
    if len(sizes) == 1:
        (size, count), balance = next(iter(sizes.items())), total
        won = (count + balance // size) // 2
        return mcnemar_p(won, count - won)
    np = load("numpy")
    chances: Any = np.ones(1)  # of the sum shifted to start at 0: sum over sizes of size * heads
    for size, count in sorted(sizes.items()):
        heads = np.zeros(size * count + 1)
        heads[::size] = _fair_coin(count)
        chances = np.convolve(chances, heads)
    reach = sum(size * count for size, count in sizes.items())
    # A sum of `total` or more is (reach + total) / 2 or more in heads; the other tail mirrors it.
    return min(1.0, 2 * math.fsum(chances[(reach + total) // 2 :]))


def holm(p_values: Mapping[Any, float | None]) -> dict[Any, float | None]:
    """Return p-values corrected for their number by Holm's step-down method (Holm 1979).

    Args:
      p_values: by any key; None is not a test: it stays None and does not count.
    Example:
      >>> holm({"a": 0.5, "b": None, "c": 0.25})
      {'a': 0.5, 'b': None, 'c': 0.5}
    """
    corrected: dict[Any, float | None] = dict.fromkeys(p_values)
    tests = sorted(
        (p, position, key) for position, (key, p) in enumerate(p_values.items()) if p is not None
    )
    largest = 0.0
    for rank, (p, _, key) in enumerate(tests):
        largest = max(largest, min(1.0, (len(tests) - rank) * p))
        corrected[key] = largest
    return corrected


def _fair_coin(count: int) -> list[float]:
    """Return the chances of 0 to `count` heads in `count` throws, each rounded once."""
    ways, row = 1, []
    for heads in range(count + 1):
        row.append(ways / 2**count)
        ways = ways * (count - heads) // (heads + 1)
    return row


def _difference_interval(units: Sequence[tuple[int, int]]) -> Interval:
    """Return the 95% interval of the mean difference over problems.

    Args:
      units: per problem, wins minus losses and the number of pairs.
    """
    differing = sum(gain != 0 for gain, _ in units)
    (_, most_alike), *_ = Counter(units).most_common(1)
    if differing >= MIN_DISCORDANT and len(units) - most_alike >= MIN_UNITS:
        return ratio_interval(units)
    won = math.fsum(max(gain, 0) / count for gain, count in units)
    lost = math.fsum(max(-gain, 0) / count for gain, count in units)
    return _sparse_interval(won, lost, len(units))


def _sparse_interval(won: float, lost: float, problems: int) -> Interval:
    """Return an interval for few differences, where the bootstrap would be too narrow.

    The difference is the share of problems that differ, times how one-sided they are (2 x share won
    - 1). Each has its exact interval; the least and the greatest product are taken. So it has a
    width even if nothing differs, and leaves 0 out only where McNemar's exact test does too.
    """
    differing = won + lost
    if differing == 0:
        reach = exact_interval(0, problems).high
        return Interval(-reach, reach, "exact")
    rate, share = exact_interval(differing, problems), exact_interval(won, differing)
    low, high = 2 * share.low - 1, 2 * share.high - 1
    return Interval(
        low * (rate.low if low > 0 else rate.high),
        high * (rate.high if high > 0 else rate.low),
        "exact",
    )
