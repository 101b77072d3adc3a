"""The kinds of function of the micro-python task: what each loops over, and what parts fit it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stepnav.tasks.micro_python.parts import (
    Change,
    Condition,
    Fold,
    Head,
    changes,
    conditions,
    folds,
    heads,
)


@dataclass(frozen=True, slots=True)
class FunctionKind:
    """Everything of which functions of one kind are composed.

    Attributes:
      name: identifier.
      parameter, variable: of the function, and of its loop.
      heads: the first one is the plain loop.
      conditions, changes, folds: see there.
    """

    name: str
    parameter: str
    variable: str
    heads: tuple[Head, ...]
    conditions: tuple[Condition, ...]
    changes: tuple[Change, ...]
    folds: tuple[Fold, ...]


_NUMBERS = conditions("number")
_NUMBER_FOLDS = folds("sum product count largest smallest last list distinct")

KINDS = (
    FunctionKind(
        "list",
        "xs",
        "x",
        heads("list"),
        conditions("number", "sign"),
        changes("number", "absolute"),
        _NUMBER_FOLDS,
    ),
    FunctionKind("count", "n", "i", heads("count"), _NUMBERS, changes("number"), _NUMBER_FOLDS),
    FunctionKind(
        "digits",
        "n",
        "d",
        heads("digits"),
        (*_NUMBERS[:2], *(replace(c, constants=tuple(range(2, 9))) for c in _NUMBERS[2:])),
        changes("number"),
        _NUMBER_FOLDS,
    ),
    FunctionKind(
        "text",
        "text",
        "c",
        heads("text"),
        conditions("text"),
        changes("text"),
        folds("joined joined turned count list distinct lengths"),
    ),
    FunctionKind(
        "words",
        "text",
        "w",
        heads("words"),
        conditions("word"),
        changes("word", "text"),
        folds("joined spaced spaced list count lengths longest distinct"),
    ),
)
