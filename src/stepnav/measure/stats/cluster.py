"""Intervals of any figure over steps or solutions, by resampling whole problems.

Steps of one problem are not independent, so a resample draws problems with all that belongs to
them (Davison and Hinkley 1997, section 3.8). A figure is written as a function of the problems'
weights: all ones give its value, a multinomial draw gives a resample, one zero the jackknife that
BCa needs (Efron 1987). Deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stepnav.measure.stats.intervals import BOOTSTRAP_SEED, LEVEL, Interval, bca_levels

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Weights of the problems [B, P] to the figure under each row of weights [B]; NaN if undefined."""

NUM_RESAMPLES = 2000
MAX_GROUPS = 200
"""Most groups of problems that the jackknife leaves out one by one; a group is one problem if it
can.

The acceleration that it estimates is the same: a group's skewness falls with the root of its size,
as the number of groups does.
"""

MAX_CELLS = 8_000_000
"""Bound of rows x items of one call of a statistic, so that memory stays small."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95% interval.

    Attributes:
      value: None where it is undefined.
      interval: None where the value is, and where no resample differs from it.
    """

    value: float | None
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"value": self.value, "ci95": self.interval and self.interval.ends}


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which problem each item belongs to.

    Attributes:
      of: number of the problem, per item [n].
      count: how many problems there are.
    """

    of: npt.NDArray[np.int64]
    count: int

    @classmethod
    def of_keys(cls, keys: Sequence[str]) -> Clusters:
        """Return the clusters of items with equal keys."""
        numbers: dict[str, int] = {}
        of = [numbers.setdefault(key, len(numbers)) for key in keys]
        return cls(np.array(of, dtype=np.int64), len(numbers))

    def sums(self, values: npt.ArrayLike) -> Floats:
        """Return the sums per problem of values per item, [n] to [P] or [n, k] to [P, k]."""
        items = np.asarray(values, dtype=np.float64)
        total = np.zeros((self.count, *items.shape[1:]))
        np.add.at(total, self.of, items)
        return total

    def estimate(self, statistic: Statistic) -> Estimate:
        """Return a figure with its interval."""
        if not self.count:
            return Estimate(None, None)
        value = float(statistic(np.ones((1, self.count)))[0])
        if np.isnan(value):
            return Estimate(None, None)
        return Estimate(value, self._interval(statistic, value))

    def _interval(self, statistic: Statistic, value: float) -> Interval | None:
        """Return the BCa interval; None if most resamples are undefined, or all are the same."""
        size = self.count
        rng = np.random.default_rng(BOOTSTRAP_SEED)
        shares = np.full(size, 1 / size)
        resampled = self._in_chunks(
            statistic, NUM_RESAMPLES, lambda rows: rng.multinomial(size, shares, size=len(rows))
        )
        resampled = np.sort(resampled[~np.isnan(resampled)])
        if len(resampled) < NUM_RESAMPLES / 2 or np.ptp(resampled) < 1e-12:
            return None
        groups = np.arange(size) % MAX_GROUPS
        left_out = self._in_chunks(
            statistic, min(size, MAX_GROUPS), lambda rows: rows[:, None] != groups
        )
        if np.isnan(left_out).all():
            return None
        low, high = bca_levels(resampled, value, left_out, np.ones(len(left_out)), LEVEL)
        ends = np.quantile(resampled, [low, high])
        return Interval(float(ends[0]), float(ends[1]), "bootstrap")

    def _in_chunks(
        self,
        statistic: Statistic,
        count: int,
        weights: Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]],
    ) -> Floats:
        """Return the statistic of `count` rows of weights, made a few at a time."""
        rows = max(1, MAX_CELLS // max(1, self.count, len(self.of)))
        return np.concatenate(
            [
                statistic(weights(part).astype(np.float64))
                for part in np.split(np.arange(count), range(rows, count, rows))
            ]
        )


def ratio(top: Floats, bottom: Floats) -> Statistic:
    """Return the statistic sum(top) / sum(bottom), of sums per problem [P]."""
    return lambda weights: divide(weights @ top, weights @ bottom)


def divide(top: Floats, bottom: Floats) -> Floats:
    """Return the quotient, NaN where the divisor is 0."""
    return np.divide(top, bottom, out=np.full_like(bottom, np.nan), where=bottom > 0)
