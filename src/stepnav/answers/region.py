"""Sets of real numbers: unions of intervals and points, in one normal form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from stepnav.answers import value as v
from stepnav.answers.value import Value

Interval = tuple[Value, Value, bool, bool]
"""Low end, high end, and whether each belongs to it. Infinite ends are floats."""

INF = float("inf")


@dataclass(frozen=True)
class Region:
    """A union of disjoint intervals in ascending order, none of which could be joined."""

    intervals: tuple[Interval, ...]

    @classmethod
    def of(cls, *intervals: Interval) -> Region:
        """Return the union of intervals."""
        rest = [
            i for i in intervals if v.is_less(i[0], i[1]) or (i[2] and i[3] and _is(i[0], i[1]))
        ]
        joined: list[Interval] = []
        for interval in _ascending(rest):
            if joined and _touches(joined[-1], interval):
                joined[-1] = _hull(joined[-1], interval)
            else:
                joined.append(interval)
        return cls(tuple(joined))

    def __or__(self, other: Region) -> Region:
        return Region.of(*self.intervals, *other.intervals)

    def __invert__(self) -> Region:
        """Return the complement."""
        gaps: list[Interval] = []
        low, is_in = -INF, False
        for interval in self.intervals:
            gaps.append((low, interval[0], is_in, not interval[2]))
            low, is_in = interval[1], not interval[3]
        return Region.of(*gaps, (low, INF, is_in, False))

    def __and__(self, other: Region) -> Region:
        return ~(~self | ~other)

    def agrees(self, holds: Callable[[Value], bool]) -> bool:
        """Return whether a condition holds just in this set, as far as can be seen.

        It is tried at the finite ends, between and beyond them, and at 41 numbers around zero.
        """
        ends = [e for i in self.intervals for e in i[:2] if not isinstance(e, float)]
        inner = [v.divide(v.add(a, b), Fraction(2)) for a, b in pairwise(ends)]
        outer = [v.add(end, Fraction(step, 7)) for end in ends for step in (-1, 1)]
        around = [Fraction(number, 3) for number in range(-20, 21)]
        return all(holds(x) == self.contains(x) for x in (*ends, *inner, *outer, *around))

    def contains(self, number: Value) -> bool:
        """Return whether a number belongs to the set."""
        return any(
            (v.is_less(low, number) and v.is_less(number, high))
            or (has_low and _is(low, number))
            or (has_high and _is(high, number))
            for low, high, has_low, has_high in self.intervals
        )

    def is_same(self, other: Region) -> bool:
        """Return whether both hold the same numbers."""
        return len(self.intervals) == len(other.intervals) and all(
            _is(a[0], b[0]) and _is(a[1], b[1]) and a[2:] == b[2:]
            for a, b in zip(self.intervals, other.intervals)
        )


def _is(left: Value, right: Value) -> bool:
    if isinstance(left, float) or isinstance(right, float):
        return isinstance(left, float) and isinstance(right, float) and left == right
    return v.same(left, right)


def _ascending(intervals: list[Interval]) -> list[Interval]:
    """Return the intervals by low end, a closed one before an open one."""
    done: list[Interval] = []
    for interval in intervals:
        place = 0
        while place < len(done) and not (
            v.is_less(interval[0], done[place][0])
            or (_is(interval[0], done[place][0]) and interval[2])
        ):
            place += 1
        done.insert(place, interval)
    return done


def _touches(left: Interval, right: Interval) -> bool:
    return v.is_less(right[0], left[1]) or (_is(left[1], right[0]) and (left[3] or right[2]))


def _hull(left: Interval, right: Interval) -> Interval:
    if v.is_less(left[1], right[1]):
        return left[0], right[1], left[2], right[3]
    is_closed = left[3] or (_is(left[1], right[1]) and right[3])
    return left[0], left[1], left[2], is_closed


REALS = Region.of((-INF, INF, False, False))
