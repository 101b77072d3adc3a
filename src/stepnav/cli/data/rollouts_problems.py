"""Which problems the rollouts label: of a split that may be trained on, less those of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stepnav.cli.console import stderr
from stepnav.cli.remarks import tell_problems
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem
from stepnav.labels.exclude import problem_names, read_problems
from stepnav.tasks.task import Task


def draw_problems(
    name: str, task: Task, split: str | None, count: int, seed: int, data: Path | None
) -> list[Problem]:
    """Return problems of a split, train if none is named, and say what the user should know."""
    check_split(task, split)
    drawn = task.load(split or "train", count, seed, data)
    _tell_split(name, split, data)
    tell_problems(drawn, count, f"{name}/{split or 'train'}")
    return drawn


def check_split(task: Task, split: str | None) -> None:
    """Refuse a split that is not to be labelled; only train is taken without being named.

    Raises:
      ConfigError: the task is never trained on, or has no train split and none is named.
    """
    if task.name.startswith("humaneval"):
        raise ConfigError("HumanEval is a test set and is never trained on; use --task mbpp")
    if split is None and "train" not in task.splits:
        raise ConfigError(
            f"{task.name} has no train split; name one with --split ({', '.join(task.splits)})"
        )


def _tell_split(task: str, split: str | None, data: Path | None) -> None:
    """Say what the user should know of the split that was named, or was not."""
    if split is None and data is not None:
        note = f"{data} is taken for the train split of {task}; --split names another"
    elif split not in (None, "train"):
        note = (
            f"these labels are made from the {split} split of {task}: what learns from them must "
            "not be evaluated on it"
        )
    else:
        return
    stderr().print(f"note: {note}", soft_wrap=True)


def leave_out(problems: Sequence[Problem], exclude: Path | None) -> list[Problem]:
    """Return the problems that are not in a file.

    Raises:
      DataError: the file cannot be used, or none is left.
    """
    if exclude is None:
        return list(problems)
    excluded = read_problems(exclude)
    kept = [
        problem
        for problem in problems
        if excluded.keys().isdisjoint(problem_names(problem.question, problem.id))
    ]
    if not kept:
        raise DataError(
            f"all {len(problems)} problems stand in {exclude}; nothing is left to label"
        )
    stderr().print(
        f"note: {len(problems) - len(kept)} of {len(problems)} problems stand in {exclude} and are "
        "left out",
        soft_wrap=True,
    )
    return kept
