"""A relation between numbers: how they are drawn, how the answer follows, and how it is asked."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepnav.tasks.plain.tables import read_tables

RANGES = {
    "S": ((2, 9), (2, 12)),
    "M": ((2, 12), (2, 20), (10, 50), (10, 99)),
    "L": ((10, 99), (50, 400), (100, 999)),
    "X": ((2, 20), (2, 50), (10, 99), (10, 99), (50, 300), (100, 999), (1000, 3000)),
    "P": ((2, 12), (2, 30), (10, 99), (50, 300)),
}
"""Kinds of numbers: small, medium, large, any, prices. A range is taken, then a number of it."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One way in which an answer follows from numbers.

    Attributes:
      weight: how often it is drawn, beside the others of its kind.
      draw: numbers in order: `n:2-12` (a range), `n:S` (a kind of `RANGES`), `n:5,10,25` (one of
        these), `t=n*m` (follows from those before).
      plan: see `calculation.py`.
      templates: see `wording.py`.
    """

    weight: float
    draw: str
    plan: str
    templates: tuple[str, ...]


def read_relations() -> Mapping[str, Sequence[Relation]]:
    """Return the relations of each kind; their headings read "kind // weight // draw // plan"."""
    found: dict[str, list[Relation]] = {}
    for heading, templates in read_tables(Path(__file__).with_name("relations.txt")).items():
        kind, weight, draw, plan = heading.split(" // ")
        found.setdefault(kind, []).append(Relation(float(weight), draw, plan, templates))
    return found


def draw_numbers(draw: str, rng: random.Random) -> dict[str, int]:
    """Return the numbers that a relation's `draw` describes.

    Example:
      >>> draw_numbers("n:4-4 m:7 t=n*m", random.Random(0))
      {'n': 4, 'm': 7, 't': 28}
    """
    values: dict[str, int] = {}
    for part in draw.split():
        if "=" in part:
            name, _, term = part.partition("=")
            values[name] = _follow(term, values)
            continue
        name, _, kind = part.partition(":")
        if kind in RANGES:
            values[name] = rng.randint(*rng.choice(RANGES[kind]))
        elif "-" in kind:
            low, high = kind.split("-")
            values[name] = rng.randint(int(low), int(high))
        else:
            values[name] = int(rng.choice(kind.split(",")))
    return values


def _follow(term: str, values: dict[str, int]) -> int:
    """Return the sum of the products in a term such as `n*m+k`."""
    total = 0
    for summand in term.split("+"):
        product = 1
        for factor in summand.split("*"):
            product *= int(factor) if factor.isdigit() else values[factor]
        total += product
    return total
