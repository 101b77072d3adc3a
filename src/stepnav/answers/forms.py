"""The forms that an answer may have."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from stepnav.answers.expression import Expression
from stepnav.answers.region import Region
from stepnav.answers.units import Unit

LIST, SET, RATIO, SYSTEM = "", "{}", ":", "="
"""Brackets of an `Items` that is no tuple or interval."""


@dataclass(frozen=True)
class Words:
    """Words in one spelling."""

    text: str


@dataclass(frozen=True)
class Moment:
    """A time of day: seconds since twelve o'clock, and "am", "pm" or "" where it is not said."""

    seconds: int
    half: str


@dataclass(frozen=True)
class Choice:
    """A letter of a multiple-choice question; what stands beside it, if anything."""

    letter: str
    rest: Form | None = None


@dataclass(frozen=True)
class Quantity:
    """An expression; its unit if it is a known one, and the other words after it."""

    expression: Expression
    unit: Unit | None = None
    label: frozenset[str] = frozenset()


def constant(value: Fraction) -> Quantity:
    """Return a number."""
    return Quantity(Expression(lambda point: value, frozenset()))


@dataclass(frozen=True)
class Items:
    """Several answers: a list, set, ratio, system of named values, or within these brackets.

    Attributes:
      brackets: `LIST`, `SET`, `RATIO`, `SYSTEM`, or an opening and a closing bracket.
      members: at least one, but for sets.
      moment: what time of day a ratio may be.
    """

    brackets: str
    members: tuple[Form, ...]
    moment: Moment | None = None


@dataclass(frozen=True)
class Matrix:
    """Rows of equal length."""

    rows: tuple[tuple[Form, ...], ...]


@dataclass(frozen=True)
class Relation:
    """An equation or inequality that gives no variable's values: `difference` is `sign` 0."""

    sign: str
    difference: Expression


@dataclass(frozen=True)
class Named:
    """What a name is said to be."""

    name: str
    form: Form


Form = Words | Moment | Choice | Quantity | Items | Matrix | Relation | Named | Region

INFINITY, MINUS_INFINITY = Words("infinity"), Words("-infinity")
EMPTY = Items(SET, ())
