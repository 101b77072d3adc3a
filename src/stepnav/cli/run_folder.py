"""What commands share that run a plan of searches into a folder: `bench` and `tune`."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.build.plugins import split_file
from stepnav.cli.console import note
from stepnav.cli.options.choice import parse_ids, pick
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.shared import TaskOptions, names_in
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem
from stepnav.core.strategy import RESERVE_SHARE, Strategy
from stepnav.front.origin import digests
from stepnav.measure.plan import BenchPlan
from stepnav.measure.plan_file import FILE_NAME, check_same, differences, read_plan
from stepnav.measure.run_folder import JOURNAL_NAME, check_is_free
from stepnav.measure.tuned_file import Tuned
from stepnav.run.database import is_begun
from stepnav.run.journal import Journal
from stepnav.tasks.task import Task


def parse_budgets(text: str) -> tuple[int, ...]:
    """Return the numbers in the value of `--budgets`.

    Raises:
      ConfigError: one of them is no whole number.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--budgets must be whole numbers between commas, as in 250,500,1000 (got {text!r})"
        ) from None


def split_names(text: str) -> list[str]:
    """Return the names in the value of `--strategies`; "all" is every strategy of the package."""
    return [
        name for part in names_in(text) for name in (build.STRATEGIES if part == "all" else (part,))
    ]


def with_tuned(strategy: Strategy, tuned: Tuned, budgets: Sequence[int | None]) -> Strategy:
    """Return a strategy with its tuned options for each budget; as it is if it has options.

    Raises:
      ConfigError: it has none for one of the budgets.
    """
    if strategy.label not in tuned.strategies:
        if not strategy.options:
            note(f"{strategy.label} was not tuned, its options are the defaults")
        return strategy
    if None in budgets:
        raise ConfigError("--tuned has options for budgets; name them with --budgets")
    limits = [budget for budget in budgets if budget is not None]
    by_budget = {
        budget: build.parse_strategy(tuned.setting(strategy.label, budget)).options
        for budget in limits
    }
    return replace(strategy, by_budget=by_budget)


def tuning_split(task: Task, named: str | None) -> str:
    """Return the split that options are chosen on: dev, else train, unless one is named.

    Raises:
      ConfigError: the task has neither; what `bench` reports on is taken only if it is named.
    """
    if named is not None:
        return named
    for split in ("dev", "train"):
        if split in task.splits:
            return split
    raise ConfigError(
        f"{task.name} has no dev or train split to choose options on; name --split "
        f"{task.default_split} if you mean the problems that bench reports on"
    )


def split_to_report_on(task: Task, tuned: str) -> str | None:
    """Return the split that `bench` must be told so as not to run on the one options were tuned on.

    None if its own choice is another, or if there is no other.
    """
    is_needed = task.default_split == tuned != "test" and "test" in task.splits
    return "test" if is_needed else None


def draw_problems(
    task: Task,
    problems: int | None,
    ids: str | None,
    split: str,
    seed: int,
    data: Path | None,
    *,
    default: int,
) -> list[Problem]:
    """Return the problems of a run: so many, or those of some ids."""
    if ids is None:
        return task.load(split, problems or default, seed, data)
    if problems is not None:
        raise ConfigError("--ids says which problems; leave --problems out")
    return pick(task, parse_ids(ids), split, seed, data)


def plan_of(
    name: str,
    problems: Sequence[Problem],
    tasks: TaskOptions,
    used: Chosen,
    strategies: Sequence[Strategy],
    *,
    texts: Sequence[str],
    budgets: Sequence[int | None],
    own_settings: Mapping[str, Any],
    **fields: Any,
) -> BenchPlan:
    """Return the plan of a run.

    Args:
      name: of the task.
      problems: of the run.
      tasks: where they are.
      used: the models.
      strategies: what is compared.
      texts: these as the user wrote them.
      budgets: of each.
      own_settings: what results depend on besides what those of any run do.
      fields: others of the plan.
    """
    options, temperature = used.options, used.task.temperature
    settings = {
        "reserve_share": RESERVE_SHARE,
        "dtype": options.dtype,
        "chat": options.chat,
        "shots": used.num_shots,
        **tasks.settings(name, problems),
        **({"sandbox": options.sandbox} if name in build.CODE_TASKS else {}),
        **used.server.result_settings(),
        **options.reward_settings(),
        **digests(used.policy, used.reward, name, *texts),
        **own_settings,
    }
    return BenchPlan(
        task=name,
        strategies=tuple(one.for_plan(budgets, temperature=temperature) for one in strategies),
        problems=len(problems),
        budgets=tuple(budgets),
        policy=used.full_name,
        reward=used.reward,
        settings=settings,
        **fields,
    )


def num_done(out: Path, plan: BenchPlan, resume: bool) -> int:
    """Return how many searches of the plan a folder holds, having checked that it is the plan's."""
    if not (out / FILE_NAME).exists():
        return 0
    if not resume:
        raise ConfigError(f"{out} holds a run already; add --resume, or use another --out")
    made = read_plan(out)
    try:
        check_same(made, plan, str(out))
    except ConfigError as error:
        raise ConfigError(f"{error}{_advice(made, plan, out)}") from None
    if not is_begun(out / JOURNAL_NAME):
        return 0
    with contextlib.closing(Journal(out / JOURNAL_NAME, is_read_only=True)) as journal:
        return len(journal.finished_ids())


def _advice(made: BenchPlan, now: BenchPlan, out: Path) -> str:
    """Return what else can be done where only the file of the task itself has changed."""
    parts = split_file(now.task)
    if parts is None:
        return ""
    name = f"digest of {parts[0].name}"
    before = {name: made.settings[name]} if name in made.settings else {}
    if differences(made, replace(now, settings={**now.settings, **before})) is not None:
        return ""
    again = shlex.join(["stepnav", "report", str(out), "--grade-again"])
    return f"; if only its grade has changed, the answers can be graded again: {again}"


def prepare(out: Path) -> None:
    """Make the run's folder if it is not there."""
    if (out / FILE_NAME).exists():
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the run folder {out} ({error.strerror})") from None
    check_is_free(out)
