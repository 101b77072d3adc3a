"""Splits: their names checked in one place; in the embedded tasks a hash decides where alone a problem may be drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from stepnav.core.errors import ConfigError, nearest
from stepnav.core.records import Problem
from stepnav.tasks.task import Example, Loader

SPLITS = ("train", "dev", "test")


def split_of(text: str) -> str:
    """Return the only split in which this text may be drawn: 90% train, 5% dev, 5% test."""
    bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100
    return "train" if bucket < 90 else "dev" if bucket < 95 else "test"


def check_drawn(split: str, count: int) -> None:
    """Refuse to draw from a split that there is none of, or fewer problems than none.

    Raises:
      ValueError: the split is unknown or the count is negative.
    """
    if split not in SPLITS or count < 0:
        raise ValueError(
            f"split must be one of {SPLITS} and count >= 0 (got split={split!r}, count={count})"
        )


def check_split(task: str, split: str, splits: Sequence[str]) -> None:
    """Refuse a split that a task does not have.

    Raises:
      ConfigError: there is none of that name; says which there are.
    """
    if split not in splits:
        raise ConfigError(
            f"{task} has no split {split!r}{nearest(split, list(splits))}; "
            f"its splits are {', '.join(splits)}"
        )


DRAWN = 300
"""How many problems an embedded task draws where nobody says."""


def embedded_loader(task: str, load: Callable[[str, int, int], list[Problem]]) -> Loader:
    """Return the loader of a task that makes its own problems."""

    def loader(split: str, count: int | None, seed: int, path: Path | None) -> list[Problem]:
        if path is not None:
            raise ConfigError(f"the {task} task makes its own problems; leave --data out")
        check_split(task, split, SPLITS)
        return load(split, DRAWN if count is None else count, seed)

    return loader


def embedded_examples(
    load: Callable[[str, int], list[Problem]], solve: Callable[[str], Sequence[str]]
) -> Callable[[int], list[Example]]:
    """Return what gives worked examples of a task that makes its own problems."""
    return lambda count: [(p.question, "".join(solve(p.id))) for p in load("train", count)]
