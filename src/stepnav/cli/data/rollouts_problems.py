"""Which problems the rollouts label: of a split that may be trained on, less those of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.console import note
from stepnav.cli.remarks import tell_problems
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem, Trajectory
from stepnav.core.tree import Tree
from stepnav.labels.exclude import problem_names, read_problems
from stepnav.measure.run_folder import open_run
from stepnav.tasks.task import Task

FromRun = Annotated[
    Path | None,
    typer.Option(
        help="Label the paths of this run's search trees instead of solutions of the policy."
    ),
]
DEFAULT_PROBLEMS = 100
"""How many problems of a split are labelled if nothing is said."""

NumProblems = Annotated[
    int | None,
    typer.Option(
        min=1, help=f"How many; by default {DEFAULT_PROBLEMS}, with --from-run all of the run's."
    ),
]

Paths = Mapping[str, Sequence[Trajectory]]
"""Problem id -> paths of its search trees."""


def choose_problems(
    name: str, task: Task, split: str | None, count: int | None, seed: int, data: Path | None,
    run: Path | None, exclude: Path | None,
) -> tuple[str, list[Problem], Paths]:  # fmt: skip
    """Return a split, problems of it, and the paths of their trees if they are a run's.

    Says what the user should know; without a run or a named split, train is taken.

    Args:
      name, task, split, seed, data: what is drawn from.
      count: how many problems; None takes `DEFAULT_PROBLEMS`, and all of a run.
      run: a bench, whose problems and paths are taken instead.
      exclude: file of problems that are left out.
    """
    if run is not None:
        split, paths = searched_paths(run, name, task, split)
        drawn = leave_out([own[0].problem for own in list(paths.values())[:count]], exclude)
        return split, drawn, {problem.id: paths[problem.id] for problem in drawn}
    check_split(task, split)
    count = DEFAULT_PROBLEMS if count is None else count
    drawn = task.load(split or "train", count, seed, data)
    _tell_split(name, split, data)
    tell_problems(drawn, count, f"{name}/{split or 'train'}")
    return split or "train", leave_out(drawn, exclude), {}


def searched_paths(run: Path, name: str, task: Task, split: str | None) -> tuple[str, Paths]:
    """Return the split of a bench and the paths of its trees.

    Raises:
      ConfigError: it is of another task or split, or of one that is never trained on.
      DataError: the run cannot be read, or has no tree yet.
    """
    plan, journal = open_run(run)
    with closing(journal):
        if plan.task != name:
            raise ConfigError(f"{run} is of the task {plan.task} (got {name}); set --task to it")
        if split not in (None, plan.split):
            raise ConfigError(
                f"{run} is of the split {plan.split} (got {split}); leave --split out"
            )
        check_split(task, plan.split)
        paths: dict[str, list[Trajectory]] = {}
        for result in journal.results():
            for path in _paths(result.tree):
                paths.setdefault(path.problem.id, []).append(path)
    if not paths:
        raise DataError(
            f"the trees of {run} hold no whole step; finish it with stepnav bench --resume, or "
            "give its searches a larger budget"
        )
    _tell_split(name, plan.split, None)
    return plan.split, paths


def paths_digest(paths: Paths) -> str:
    """Return what changes with the paths' steps, so that labels are never mixed from two runs."""
    texts = {name: [[s.text for s in path.steps] for path in own] for name, own in paths.items()}
    return blake2b(json.dumps(texts).encode(), digest_size=8).hexdigest()


def _paths(tree: Tree) -> list[Trajectory]:
    """Return the paths to the leaves of a tree, without a last step that a limit cut."""
    found = []
    for node in tree.nodes:
        path = node.trajectory
        if path.steps and path.steps[-1].is_cut:
            path = Trajectory(path.problem, path.steps[:-1])
        if path.steps and not node.children:
            found.append(path)
    return found


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
        text = f"{data} is taken for the train split of {task}; --split names another"
    elif split not in (None, "train"):
        text = (
            f"these labels are made from the {split} split of {task}: what learns from them must "
            "not be evaluated on it"
        )
    else:
        return
    note(text)


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
    note(
        f"{len(problems) - len(kept)} of {len(problems)} problems stand in {exclude} and are "
        "left out"
    )
    return kept
