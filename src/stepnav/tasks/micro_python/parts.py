"""The parts that small Python functions are composed of: code beside every way to say it.

They stand in `parts.txt`, one a line: the fields of a record in their order, ` | ` between them,
`; ` between ways to say it and between a head's lines. Slots: `{v}` the loop variable, `{k}` a
constant of the part, `{each}` the thing that is changed ("each" or some of them), `{r}` the result.
Which parts go together stands in `kinds.py`, how in `specs.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stepnav.tasks.plain.tables import read_tables

Constants = tuple[object, ...]
LARGE: Constants = (10, 12, 15, 20, 25, 30, 40, 50)
_NAMED = {"LARGE": LARGE, "ANY": (*range(2, 10), *LARGE), "LETTERS": tuple("abdeilnorst")}
"""Constants that many parts share; others are a range, as in `2-9`, or letters."""

_TABLES = read_tables(Path(__file__).with_suffix(".txt"))


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of the loop variable.

    Attributes:
      code, inverse: the test, and its opposite in the style in which it is written.
      ones: ways to name the things that pass it.
      constants: what `{k}` may be; empty where there is no slot.
    """

    code: str
    inverse: str
    ones: tuple[str, ...]
    constants: Constants = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the loop variable.

    Attributes:
      code: the statement.
      value: the new value, for conditional expressions; empty where it is not used in one.
      says: ways to say it.
      constants: what `{k}` may be.
    """

    code: str
    value: str
    says: tuple[str, ...]
    constants: Constants = ()


@dataclass(frozen=True, slots=True)
class Head:
    """What is looped over.

    Attributes:
      lines: the loop's header and what must stand at the start of its body, indented.
      says: ways to say it.
      constants: what `{k}` may be.
    """

    lines: tuple[str, ...]
    says: tuple[str, ...]
    constants: Constants = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """A change of the result when it is returned.

    Attributes:
      code: the returned expression; `{r}` is the result.
      says: ways to say it, as a clause of its own.
      constants: what `{k}` may be.
    """

    code: str
    says: tuple[str, ...]
    constants: Constants = ()


@dataclass(frozen=True, slots=True)
class Fold:
    """How what is left becomes the result.

    Attributes:
      start, step: the statement before the loop, and the one in it.
      result: the result as an expression.
      nouns: ways to name the result.
      endings: how the result may be changed.
    """

    start: str
    step: str
    result: str
    nouns: tuple[str, ...]
    endings: tuple[Ending, ...]


def conditions(*names: str) -> tuple[Condition, ...]:
    """Return the conditions under some headings."""
    return tuple(
        Condition(code, inverse, _ways(ones), _constants(*constants))
        for code, inverse, ones, *constants in _rows("conditions", *names)
    )


def changes(*names: str) -> tuple[Change, ...]:
    """Return the changes under some headings."""
    return tuple(
        Change(code, value, _ways(says), _constants(*constants))
        for code, value, says, *constants in _rows("changes", *names)
    )


def heads(name: str) -> tuple[Head, ...]:
    """Return the heads of a kind."""
    return tuple(
        Head(tuple(lines.replace("; ", "\n    ").split("\n")), _ways(says), _constants(*constants))
        for lines, says, *constants in _rows("heads", name)
    )


def folds(names: str) -> tuple[Fold, ...]:
    """Return the folds of these names; one that comes twice is drawn twice as often."""
    rows = {name: row for name, *row in _rows("folds", "all")}
    return tuple(_fold(*rows[name]) for name in names.split())


def _fold(start: str, step: str, result: str, nouns: str, endings: str) -> Fold:
    found = tuple(
        Ending(code, _ways(says), _constants(*constants))
        for code, says, *constants in _rows("endings", *endings.split())
    )
    return Fold(start, step, result, _ways(nouns), found)


def _rows(kind: str, *names: str) -> Iterator[list[str]]:
    for name in names:
        yield from (line.split(" | ") for line in _TABLES[f"{name} {kind}"])


def _ways(text: str) -> tuple[str, ...]:
    return tuple(text.split("; "))


def _constants(text: str = "") -> Constants:
    if text in _NAMED:
        return _NAMED[text]
    low, dash, high = text.partition("-")
    return tuple(range(int(low), int(high) + 1)) if dash else tuple(low)
