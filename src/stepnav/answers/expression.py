r"""Expressions as functions of their letters, and whether two are the same.

Two expressions are the same if they have the same value at several rational points, to 35 digits
(the test of identities of Schwartz 1980, carried over from polynomials). Letters are real; a point
where either side leaves its real domain does not count, unless all do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from stepnav.answers import value as v
from stepnav.answers.value import Value

SIGN = "\\pm"
"""The name under which the choice of a plus-minus sign is looked up."""

STRICT = ""
"""The name that says whether the points are real."""

Point = Mapping[str, Value]
Run = Callable[[Point], Value]


class UnreadableError(Exception):
    """The text is not an expression that is understood here."""


@dataclass(frozen=True)
class Expression:
    """An expression that can be evaluated.

    Attributes:
      run: its value, given those of its letters.
      names: its letters; `SIGN` among them if it holds a plus-minus sign.
    """

    run: Run
    names: frozenset[str]

    def constant(self) -> Value | None:
        """Return the value if no letter is in it, None else or if it has none."""
        if self.names:
            return None
        try:
            return self.run({STRICT: False})
        except v.OutsideError:
            return None


def same(left: Expression, right: Expression) -> bool:
    """Return whether two expressions have the same value wherever both have one.

    Raises:
      TooBigError: a value is too big to be worked out.
    """
    return all(v.same(a, b) for a, b in samples(left, right))


def samples(*expressions: Expression) -> list[tuple[Value, ...]]:
    """Return the expressions' values at the points where all have one; at least one point.

    Raises:
      UnreadableError: there is no such point.
    """
    names = sorted(set().union(*(e.names for e in expressions)))
    for is_strict in (True, False):
        found = []
        for point in _points(names):
            try:
                place = {**point, STRICT: is_strict and bool(names)}
                found.append(tuple(expression.run(place) for expression in expressions))
            except v.OutsideError:
                continue
        if found:
            return found
    raise UnreadableError


_COORDINATES = [Fraction(n, d) for n, d in ((17, 10), (29, 13), (5, 11), (41, 19), (3, 7), (31, 9))]
_SIGNS = ((1, 1), (1, 1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def _points(names: list[str]) -> list[dict[str, Value]]:
    if not names:
        return [{}]
    size = len(_COORDINATES)
    return [
        {
            name: _COORDINATES[(index + shift) % size] * _SIGNS[shift][index % 2]
            + (shift + index) // size
            for index, name in enumerate(names)
        }
        for shift in range(size)
    ]
