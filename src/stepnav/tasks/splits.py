"""Splits: their names checked once; in embedded tasks a hash decides where a problem is drawn."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from stepnav.core.errors import ConfigError, DataError, nearest
from stepnav.core.records import Problem
from stepnav.tasks.task import Example, Loader

T = TypeVar("T")

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


def first_problems(
    task: str, problem: Callable[[str], Problem]
) -> Callable[[str, int, int], list[Problem]]:
    """Return what gives the first problems of a split, each made of its id alone.

    Args:
      task: its name.
      problem: makes a problem of an id.
    Returns:
      A function of split, count and seed; another seed draws other problems. It raises a
      ValueError if the split is unknown or the count is negative.
    """

    def load(split: str, count: int, seed: int = 0) -> list[Problem]:
        check_drawn(split, count)
        return [problem(f"{task}-{split}-{seed}-{index}") for index in range(count)]

    return load


def redrawn(
    task: str,
    problem_id: str,
    draw: Callable[[random.Random], T],
    text_of: Callable[[T], str],
    is_meaningful: Callable[[T, random.Random], bool] = lambda drawn, rng: True,
) -> T:
    """Return what stands behind a problem of an embedded task, re-created from its id.

    Args:
      task: its name, with which the id begins.
      problem_id: "TASK-SPLIT-SEED-INDEX".
      draw: draws one.
      text_of: the text whose hash decides the split; what falls into another one is drawn again.
      is_meaningful: whether one of the right split is kept.
    Raises:
      DataError: the id does not belong to this task.
    """
    match = id_pattern(task).fullmatch(problem_id)
    if match is None:
        raise DataError(
            f"{problem_id!r} is not the id of a problem of {task} such as '{task}-test-0-17'"
        )
    rng = random.Random(problem_id)
    while True:
        drawn = draw(rng)
        if split_of(text_of(drawn)) == match[1] and is_meaningful(drawn, rng):
            return drawn


@cache
def id_pattern(task: str) -> re.Pattern[str]:
    """Return what the ids of an embedded task look like."""
    return re.compile(rf"{re.escape(task)}-({'|'.join(SPLITS)})-(\d+)-(\d+)")


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

MAX_DRAWN = 100_000
"""How many it draws at most: as many take minutes."""


def embedded_loader(task: str, load: Callable[[str, int, int], list[Problem]]) -> Loader:
    """Return the loader of a task that makes its own problems."""

    def loader(split: str, count: int | None, seed: int, path: Path | None) -> list[Problem]:
        if path is not None:
            raise ConfigError(f"the {task} task makes its own problems; leave --data out")
        check_split(task, split, SPLITS)
        if count is not None and count > MAX_DRAWN:
            raise ConfigError(
                f"the {task} task makes at most {MAX_DRAWN:,} problems (got {count:,}); take fewer"
            )
        return load(split, DRAWN if count is None else count, seed)

    return loader


def embedded_examples(
    load: Callable[[str, int], list[Problem]], solve: Callable[[str], Sequence[str]]
) -> Callable[[int], list[Example]]:
    """Return what gives worked examples of a task that makes its own problems."""
    return lambda count: [(p.question, "".join(solve(p.id))) for p in load("train", count)]
