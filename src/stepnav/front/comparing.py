"""Compare strategies on the same problems, at the same budgets."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem
from stepnav.core.requests import Program
from stepnav.core.strategy import Strategy
from stepnav.files.lock import locked
from stepnav.front.origin import digests, function_digest, option_settings
from stepnav.front.solving import given_strategy, whole
from stepnav.measure.coverage import Coverage
from stepnav.measure.extras import check_installed
from stepnav.measure.plan import BenchPlan, cells
from stepnav.measure.plan_file import (
    FILE_NAME,
    check_same,
    plan_digest,
    problems_digest,
    read_plan,
    write_plan,
)
from stepnav.measure.results import Results
from stepnav.measure.run_folder import JOURNAL_NAME
from stepnav.measure.runner import grade_again, read_rows, run_cells, wall_seconds
from stepnav.measure.summary import summarise
from stepnav.run.journal import Journal
from stepnav.tasks.checked import checked
from stepnav.tasks.own import own_task
from stepnav.tasks.task import Task
from stepnav.view.shown import ShownTree

GivenStrategy = str | Strategy | Callable[..., Program]

logger = logging.getLogger("stepnav")


def bench(
    problems: Any,
    strategies: GivenStrategy | Sequence[GivenStrategy],
    *,
    policy: Any = None,
    reward: Any = None,
    budgets: int | Sequence[int | None] | None = (None,),
    count: int | None = None,
    split: str | None = None,
    seeds: int = 1,
    seed: int = 0,
    baseline: str | None = None,
    out: str | Path | None = None,
    max_active: int = 64,
    coverage: bool = False,
    progress: Callable[[int, int], object] = lambda done, total: None,
    **options: Any,
) -> Results:
    """Return a comparison of strategies on the same problems, at the same budgets.

    Args:
      problems: a task or its name, a file of rows, or rows (a list of dicts, a `datasets.Dataset`)
        with `question` and `answer`.
      strategies: names as on the command line, strategies or generator functions; one by itself
        too.
      policy, reward: as of `solve`.
      budgets: policy tokens per search, one by itself too; None is no limit.
      count: how many problems; None is all (300 of a task that draws its own).
      split: the task's split; None is its default.
      seeds: searches per problem.
      seed: of the first.
      baseline: label to compare with, or "LABEL@BUDGET"; None is "cot" if it is there.
      out: folder that keeps the journal: what it holds is not run again, and its answers that
        could not be graded are graded anew, each time; None keeps nothing. A model is known by its
        files, a function or an object that is called by its code and the plain values that it
        holds, a backend by its type alone: give another one another folder.
      max_active: searches that run at once.
      coverage: whether to grade all solutions that the searches found, too; rows tell in `covered`,
        the summary in `coverage` how often one was right.
      progress: told of (searches that are done, all), at the beginning and after each.
      options: of the models, as of `solve`.
    Raises:
      ConfigError: something named cannot be used.
      BackendError: a model cannot be reached.
    """
    check_installed("numpy", "scipy")
    limits = _budgets(budgets)
    seeds, seed = whole("seeds", seeds), whole("seed", seed)
    if count is not None and (count := whole("count", count)) < 1:
        raise ConfigError(f"count must be at least 1 (got {count})")
    kept = None if out is None else _folder(out)
    task = _task(problems)
    used = split or task.default_split
    drawn = task.load(used, count, seed, None)
    named = [given_strategy(item) for item in _several(strategies)]
    chosen = build.with_measured(named, reward, task)
    policy, reward = build.choose_models(task, chosen, policy, reward)
    plan = BenchPlan(
        task=task.name, split=used,
        strategies=tuple(item.for_plan(limits, temperature=task.temperature) for item in chosen),
        problems=len(drawn), seeds=seeds, seed=seed, budgets=limits,
        policy=_model_name(policy), reward=None if reward is None else _model_name(reward),
        baseline=baseline,
        settings={
            "data_digest": problems_digest(drawn), **option_settings(options),
            **_digests(policy=policy, reward=reward), **_own_code(chosen),
        },
    )  # fmt: skip
    opened = build.open_any(policy=policy, reward=reward, task=task, strategies=chosen, **options)
    with tempfile.TemporaryDirectory() as own, opened as models:
        folder = kept or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        _tell_unknown(folder, policy=policy, reward=reward)
        with locked(folder):
            return _run(plan, task, drawn, models.by_name, folder, max_active, progress, coverage)


def _run(
    plan: BenchPlan,
    task: Task,
    problems: Sequence[Problem],
    models: Mapping[str, Backend],
    folder: Path,
    max_active: int,
    progress: Callable[[int, int], object],
    coverage: bool,
) -> Results:
    """Return what a plan gives, having gone on with what its folder holds of it."""
    if (folder / FILE_NAME).exists():
        check_same(read_plan(folder), plan, str(folder))
    write_plan(plan, folder)
    journal = Journal(folder / JOURNAL_NAME, plan_digest(plan))
    try:
        grade_again(journal, task.grade, only_ungraded=True)  # it may have been mended since
        ids = [problem.id for problem in problems]
        every = cells(plan, ids)
        done = len(journal.finished_ids())
        progress(done, len(every))
        for found in run_cells(
            every, problems, extractor=task.extractor, grade=task.grade, models=models,
            journal=journal, max_active=max_active,
        ):  # fmt: skip
            done += found.is_new
            progress(done, len(every))
        has_right = Coverage(task.extract, task.grade).has_right if coverage else None
        results = {result.search_id: result for result in journal.results()}
        rows = read_rows(
            plan, journal, grade=task.grade, problems=ids, has_right=has_right,
            results=results.values(),
        )  # fmt: skip
        wall_s = wall_seconds(journal)
    finally:
        journal.close()
    trees = [ShownTree(results[row.search_id], row.correct) for row in rows]
    return Results(rows, trees, summarise(rows, baseline=plan.baseline_label, wall_s=wall_s))


def _task(problems: Any) -> Task:
    if isinstance(problems, Task):
        return checked(problems, problems.name)
    if isinstance(problems, str) and not Path(problems).is_file():
        return build.load_task(problems)
    if not isinstance(problems, Path) and not hasattr(problems, "__iter__"):
        raise ConfigError(
            f"problems must be a task, its name, a file or rows (got {problems!r:.80})"
        )
    return own_task(Path(problems) if isinstance(problems, (str, Path)) else problems)


def _folder(out: str | Path) -> Path:
    """Return the folder that is to keep a comparison.

    Raises:
      ConfigError: it can be none.
    """
    if out == "":
        raise ConfigError("out is empty, which names no folder")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a folder")
    return folder


def _budgets(given: Any) -> tuple[int | None, ...]:
    """Return the budgets that a number or several are."""
    found = _several(given)
    if not found:
        raise ConfigError("budgets must not be empty; (None,) is no limit")
    return tuple(None if item is None else whole("a budget", item) for item in found)


def _several(given: Any) -> list[Any]:
    """Return several things, or one by itself, as a list."""
    is_one = isinstance(given, str) or not hasattr(given, "__iter__")
    return [given] if is_one else list(given)


def _model_name(model: Any) -> str:
    """Return what a model is called in a run's plan."""
    if isinstance(model, (str, Path)):
        return str(model)
    return str(getattr(model, "__qualname__", type(model).__qualname__))


def _digests(**models: Any) -> dict[str, str]:
    """Return what tells models from others of their name; nothing of objects, and of servers."""
    found: dict[str, str] = {}
    for kind, model in models.items():
        if isinstance(model, (str, Path)):
            found |= digests(**{"policy": None, "reward": None, kind: str(model)})
        elif digest := function_digest(model):
            found[f"{kind}_digest"] = digest
    return found


def _own_code(strategies: Sequence[Strategy]) -> dict[str, str]:
    """Return the digests of strategies that are the user's own functions, by their labels."""
    functions = {item.label: item.function for item in strategies}
    return {
        f"digest of {label}": digest
        for label, function in functions.items()
        if not str(getattr(function, "__module__", "")).startswith("stepnav.search.")
        and (digest := function_digest(function))
    }


def _tell_unknown(folder: Path, **models: Any) -> None:
    """Say of which models it cannot be told whether a folder's results are theirs."""
    for kind, model in models.items():
        is_known = model is None or isinstance(model, (str, Path)) or function_digest(model)
        if not is_known and (folder / FILE_NAME).exists():
            logger.warning(
                "%s holds results of a %s %s; that it is this one cannot be told, and is assumed",
                *(folder, kind, _model_name(model)),
            )
