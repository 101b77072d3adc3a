"""The kinds of function of the micro-python task: what each loops over, and what parts fit it."""

from __future__ import annotations

from dataclasses import dataclass

from stepnav.tasks.micro_python.parts import (
    ABSOLUTE,
    COUNT,
    DISTINCT,
    JOINED,
    LENGTHS,
    LIST,
    LONGEST,
    NUMBER_CHANGES,
    NUMBER_CONDITIONS,
    NUMBER_FOLDS,
    SIGN_CONDITIONS,
    SMALL,
    SPACED,
    TEXT_CHANGES,
    TEXT_CONDITIONS,
    TURNED,
    WORD_CHANGES,
    WORD_CONDITIONS,
    Change,
    Condition,
    Fold,
    Head,
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


KINDS = (
    FunctionKind(
        "list",
        "xs",
        "x",
        (
            Head(("for x in xs:",), ("goes through the numbers in xs", "takes each number in xs")),
            Head(
                ("for x in xs[{k}:]:",),
                (
                    "goes through xs without its first {k} numbers",
                    "takes the numbers in xs after the first {k}",
                ),
                (2, 3),
            ),
            Head(
                ("for x in xs[:-{k}]:",), ("goes through xs without its last {k} numbers",), (2, 3)
            ),
            Head(("for x in xs[::2]:",), ("takes every second number in xs from the first on",)),
            Head(
                ("for x in reversed(xs):",),
                ("goes through xs from the end", "takes the numbers in xs in reverse order"),
            ),
            Head(("for x in sorted(xs):",), ("goes through xs in ascending order",)),
        ),
        NUMBER_CONDITIONS + SIGN_CONDITIONS,
        (*NUMBER_CHANGES, ABSOLUTE),
        NUMBER_FOLDS,
    ),
    FunctionKind(
        "count",
        "n",
        "i",
        (
            Head(
                ("for i in range(1, n + 1):",),
                ("goes through the numbers from 1 to n", "takes each number from 1 to n"),
            ),
            Head(("for i in range(n):",), ("goes through the numbers from 0 to n - 1",)),
            Head(
                ("for i in range(n, 0, -1):",),
                ("goes through the numbers from n down to 1", "counts down from n to 1"),
            ),
            Head(
                ("for i in range({k}, n + 1, {k}):",),
                ("goes through the numbers from {k} to n in steps of {k}",),
                (2, 3),
            ),
        ),
        NUMBER_CONDITIONS,
        NUMBER_CHANGES,
        NUMBER_FOLDS,
    ),
    FunctionKind(
        "digits",
        "n",
        "d",
        (
            Head(
                ("for d in map(int, str(n)):",),
                ("goes through the digits of n", "takes each digit of n"),
            ),
            Head(
                ("while n > 0:", "    d = n % 10", "    n //= 10"),
                (
                    "goes through the digits of n from the last on",
                    "takes the digits of n from last to first",
                ),
            ),
        ),
        (
            *NUMBER_CONDITIONS[:2],
            *(Condition(c.code, c.inverse, c.ones, SMALL[:7]) for c in NUMBER_CONDITIONS[2:]),
        ),
        NUMBER_CHANGES,
        NUMBER_FOLDS,
    ),
    FunctionKind(
        "text",
        "text",
        "c",
        (
            Head(
                ("for c in text:",),
                ("goes through the characters of text", "takes each character of text"),
            ),
            Head(("for c in reversed(text):",), ("goes through text from the end",)),
            Head(
                ("for c in text[{k}:]:",),
                ("goes through text without its first {k} characters",),
                (2, 3),
            ),
            Head(
                ("for c in text[::2]:",),
                ("takes every second character of text from the first on",),
            ),
        ),
        TEXT_CONDITIONS,
        TEXT_CHANGES,
        (JOINED, JOINED, TURNED, COUNT, LIST, DISTINCT, LENGTHS),
    ),
    FunctionKind(
        "words",
        "text",
        "w",
        (
            Head(
                ("for w in text.split():",),
                ("goes through the words of text", "takes each word of text"),
            ),
            Head(
                ("for w in text.split()[{k}:]:",),
                ("goes through the words of text after the first {k}",),
                (2, 3),
            ),
            Head(
                ("for w in sorted(text.split()):",),
                ("goes through the words of text in sorted order",),
            ),
            Head(
                ("for w in reversed(text.split()):",),
                ("goes through the words of text from the last on",),
            ),
        ),
        WORD_CONDITIONS,
        WORD_CHANGES + TEXT_CHANGES,
        (JOINED, SPACED, SPACED, LIST, COUNT, LENGTHS, LONGEST, DISTINCT),
    ),
)
