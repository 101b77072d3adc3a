"""Plans of calculations: how a question's numbers lead to its answer, in steps for the head.

A plan is written `p = a * b; q = p + c`; other right ways follow after `|`. Signs are `+ - * /` and
`%`, the percentage (`a % p` is p percent of a). Long products are split (`24 * 15` into `24 * 10`,
`24 * 5` and their sum).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stepnav.tasks.arithmetic.stories import SIGNS, equations

MAX_RESULT = 9999


@dataclass(frozen=True, slots=True)
class Calculation:
    """One step.

    Attributes:
      left, right: operands.
      sign: one of "+-*/".
      result: what comes out, a natural number.
      needs: positions, in the plan, of the calculations whose results are used.
    """

    left: int
    sign: str
    right: int
    result: int
    needs: tuple[int, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The right ways to write it, the reference first; sums and products turn round."""
        return equations(self.left, self.sign, self.right)


Plan = tuple[Calculation, ...]


def work_out(
    plan: str, values: Mapping[str, int], order: Sequence[str] = ()
) -> tuple[Plan, ...] | None:
    """Return every right plan for these numbers, the reference first.

    Args:
      plan: see the module's text.
      values: the question's numbers by name.
      order: names in the order in which the question tells them; operands of sums and products
        follow it.

    Returns:
      None if a result of the reference is no natural number, or too large; other plans are left out
      then.
    """
    found: list[Plan] = []
    for alternative in _parsed(plan):
        for is_split in (True, False):
            worked = _Worker(values, order, is_split).run(alternative)
            if worked is None and not found:
                return None
            if worked is not None and worked not in found:
                found.append(worked)
    return tuple(found)


@lru_cache(maxsize=4096)
def _parsed(plan: str) -> tuple[tuple[tuple[str, str, str, str], ...], ...]:
    """Return (name, left, sign, right) of each assignment of each alternative."""
    alternatives = []
    for text in plan.split("|"):
        rows = []
        for part in text.split(";"):
            name, _, term = part.partition("=")
            left, sign, right = term.split()
            rows.append((name.strip(), left, sign, right))
        alternatives.append(tuple(rows))
    return tuple(alternatives)


class _Worker:
    """Works one plan out."""

    def __init__(self, values: Mapping[str, int], order: Sequence[str], is_split: bool) -> None:
        self.values = dict(values)
        self.order = {name: number for number, name in enumerate(order)}
        self.is_split = is_split
        self.made: dict[str, int] = {}
        self.plan: list[Calculation] = []

    def run(self, rows: Sequence[tuple[str, str, str, str]]) -> Plan | None:
        """Return the plan, None if it leaves the natural numbers."""
        for name, left, sign, right in rows:
            if sign in "+*" and self.rank(right) < self.rank(left):
                left, right = right, left
            needs = tuple(self.made[part] for part in (left, right) if part in self.made)
            one, other = self.value(left), self.value(right)
            if not self.calculate(one, sign, other, needs):
                return None
            self.values[name] = self.plan[-1].result if self.plan else one
            if self.plan:
                self.made[name] = len(self.plan) - 1
        return tuple(self.plan)

    def rank(self, name: str) -> int:
        """Results come first, then the question's numbers in its order, then constants."""
        return -1 if name in self.made else self.order.get(name, 99)

    def value(self, name: str) -> int:
        return int(name) if name.isdigit() else self.values[name]

    def calculate(self, left: int, sign: str, right: int, needs: tuple[int, ...]) -> bool:
        """Add the steps of one calculation; return whether all is well."""
        if sign == "%":
            return self.percentage(left, right, needs)
        if sign == "*" and self.is_split and (parts := split_product(left, right)):
            whole, tens, ones = parts
            first = self.step(whole, "*", tens, needs)
            second = self.step(whole, "*", ones, needs)
            last = len(self.plan) - 1
            return first and second and self.add_up(last - 1, last)
        return self.step(left, sign, right, needs)

    def add_up(self, one: int, other: int) -> bool:
        return self.step(self.plan[one].result, "+", self.plan[other].result, (one, other))

    def percentage(self, whole: int, percent: int, needs: tuple[int, ...]) -> bool:
        """Divide first where the percentage is a simple fraction, then multiply."""
        if not self.is_split:
            done = self.step(whole, "*", percent, needs)
            return done and self.step(self.plan[-1].result, "/", 100, (len(self.plan) - 1,))
        unit = next(part for part in (50, 25, 20, 10, 5, 1) if percent % part == 0)
        if percent % 10 == 0 and percent not in (20, 50):
            unit = 10
        done = self.step(whole, "/", 100 // unit, needs)
        if done and percent != unit:
            done = self.calculate(self.plan[-1].result, "*", percent // unit, (len(self.plan) - 1,))
        return done

    def step(self, left: int, sign: str, right: int, needs: tuple[int, ...]) -> bool:
        if sign == "/" and (right == 0 or left % right):
            return False
        value = SIGNS[sign](left, right)
        self.plan.append(Calculation(left, sign, right, value, needs))
        return 0 <= value <= MAX_RESULT


def split_product(left: int, right: int) -> tuple[int, int, int] | None:
    """Return (factor, larger part, smaller part) of a product that is too long for one step.

    Example:
      >>> split_product(24, 15), split_product(240, 3), split_product(7, 365)
      ((24, 10, 5), None, (7, 300, 65))
    """
    shorter, longer = sorted((left, right), key=lambda n: (_num_digits(n), n))
    if _num_digits(longer) < 2 or _num_digits(shorter) + _num_digits(longer) <= 3:
        return None
    split = shorter if _num_digits(shorter) > 1 else longer
    other = longer if split is shorter else shorter
    tens = 10 ** (len(str(split)) - 1) * int(str(split)[0])
    return other, tens, split - tens


def _num_digits(number: int) -> int:
    """Return how many digits are left without the zeros at the end."""
    return len(str(number).rstrip("0"))
