"""What `stepnav bench` compares, from its options: the plan, the problems and the task."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from stepnav import build
from stepnav.build.plugins import bare_name
from stepnav.cli.console import note
from stepnav.cli.options.choice import Ids
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.models import ModelOptions
from stepnav.cli.options.shared import Reward, Seed, Split, TaskName, TaskOptions
from stepnav.cli.run_folder import (
    draw_problems,
    parse_budgets,
    plan_of,
    split_names,
    with_tuned,
)
from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem
from stepnav.core.shard import Shard
from stepnav.core.strategy import Strategy
from stepnav.front.origin import made_for, rated_by
from stepnav.measure.plan import SHARD, TUNED_ON, BenchPlan, Cell, cells
from stepnav.measure.plan_file import plan_digest
from stepnav.measure.runner import Finished, run_cells
from stepnav.measure.tuned_file import Tuned, check_tuned, read_tuned
from stepnav.run.journal import Entry, Journal
from stepnav.run.spreading import Begun, SearchWork
from stepnav.tasks.task import Task

NUM_PROBLEMS = 300

DEFAULT_STRATEGIES = "cot,self_consistency,best_of_n,weighted_vote,beam,hgs,nav"
"""The baseline, what the field compares with, the paper's search and ours; each more is asked for
by name, as it costs about as much as any of these."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a run compares, before a model is opened.

    Attributes:
      plan: as the run folder keeps it.
      drawn: its problems, of all shards.
      problems: those of this run's shard.
      used: the models, and the task.
    """

    plan: BenchPlan
    drawn: list[Problem]
    problems: list[Problem]
    used: Chosen

    @property
    def cells(self) -> list[Cell]:
        """The searches of this run's shard."""
        plan = replace(self.plan, problems=len(self.problems))
        return cells(plan, [problem.id for problem in self.problems])

    @property
    def task(self) -> Task:
        """The problems', with its worked examples."""
        return self.used.task

    def run(
        self,
        wanted: Iterable[Cell | None],
        models: build.Models,
        journal: Journal,
        active: int,
        answered: Mapping[str, Sequence[Entry]] = MappingProxyType({}),
    ) -> Iterator[Finished]:
        """Run those of its searches that the journal does not hold; as `run_cells`."""
        return run_cells(
            wanted,
            self.problems,
            extractor=self.task.extractor,
            grade=self.task.grade,
            models=models.by_name,
            journal=journal,
            max_active=active,
            answered=answered,
        )


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What is compared."""

    task: TaskName = "arithmetic"
    strategies: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: NAME, NAME:OPTION=VALUE:OPTION=VALUE, NAME:published, all, or "
            "FILE.py:FUNCTION; see stepnav strategies. [default: "
            f"{DEFAULT_STRATEGIES.replace(',', ', ')}; with --tuned, the file's]",
        ),
    ] = None
    tuned: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take each strategy's options for each budget from this file of stepnav tune, "
            "where none are given.",
        ),
    ] = None
    problems: Annotated[int | None, typer.Option(min=1, help="How many. [default: 300]")] = None
    ids: Ids = None
    split: Split = None
    seeds: Annotated[int, typer.Option(min=1, help="Searches per problem.")] = 1
    seed: Seed = 0
    max_policy_tokens: Annotated[
        int | None, typer.Option(min=1, help="Budget of generated tokens per search.")
    ] = None
    budgets: Annotated[str | None, typer.Option(help="Several such budgets, comma-separated.")] = (
        None
    )
    baseline: Annotated[
        str | None,
        typer.Option(help="Strategy to compare with, or STRATEGY@BUDGET. [default: cot]"),
    ] = None
    reward: Reward = None
    shard: Annotated[
        str | None,
        typer.Option(
            help="i/n: only the i-th of n parts of the problems; stepnav merge joins them."
        ),
    ] = None

    def comparison(self, tasks: TaskOptions, models: ModelOptions, active: int) -> Comparison:
        """Return what is compared; loads problems and no model.

        Args:
          tasks: where the problems are.
          models: who proposes and scores.
          active: how many searches run at once.
        Raises:
          ConfigError: an option cannot be used.
          DataError: the problems cannot be read.
        """
        task = tasks.load(self.task, sandbox=models.sandbox)
        found = None if self.tuned is None else read_tuned(self.tuned)
        names = self.strategies or (_names(found) if found else DEFAULT_STRATEGIES)
        choices = [build.parse_strategy(text) for text in split_names(names)]
        limits = self._budgets(found)
        part = None if self.shard is None else Shard.parse(self.shard)
        used = Chosen.of(models, task, choices, self.reward, active)
        choices = build.with_measured(choices, used.reward)
        if found is not None:
            _check_tuned(found, self.task, used, str(self.tuned))
            choices = [with_tuned(choice, found, limits) for choice in choices]
        where = (self.split or task.default_split, self.seed, tasks.data)
        drawn = draw_problems(task, self.problems, self.ids, *where, default=NUM_PROBLEMS)
        plan = plan_of(
            self.task,
            drawn,
            tasks,
            used,
            choices,
            texts=split_names(names),
            split=where[0],
            seeds=self.seeds,
            seed=self.seed,
            budgets=limits,
            baseline=self.baseline,
            own_settings={
                **({} if self.ids is None else {"ids": ",".join(p.id for p in drawn)}),
                **({} if part is None else {SHARD: str(part)}),
                **_tuned_here(found, choices, self.task, where[0]),
            },
        )
        return Comparison(plan, drawn, _mine(drawn, part), used)

    def _budgets(self, tuned: Tuned | None) -> tuple[int | None, ...]:
        if self.budgets is None and self.max_policy_tokens is None and tuned is not None:
            return tuple(tuned.budgets)
        if self.budgets is None:
            return (self.max_policy_tokens,)
        if self.max_policy_tokens is not None:
            raise ConfigError("give either --budgets or --max-policy-tokens, not both")
        return parse_budgets(self.budgets)


def _names(tuned: Tuned) -> str:
    """Return the strategies of a file of tuned settings, as on the command line."""
    names = (bare_name(entry.setting) or entry.strategy for entry in tuned.best)
    return ",".join(dict.fromkeys(names))


def _tuned_here(
    tuned: Tuned | None, strategies: Sequence[Strategy], task: str, split: str
) -> dict[str, str]:
    """Return the setting of a run that measures tuned options on the split they were tuned on."""
    if tuned is None or not any(strategy.by_budget for strategy in strategies):
        return {}
    if _is_other(tuned, task):
        note(f"The options were tuned on {tuned.origin['task']}, this is {task}.")
        return {}
    return {TUNED_ON: split} if tuned.origin.get("split") == split else {}


def _check_tuned(tuned: Tuned, task: str, used: Chosen, file: str) -> None:
    """Refuse settings that were tuned for another task or for other models.

    Raises:
      ConfigError: they are for others.
    """
    now, made = made_for(task, used.full_name, used.reward), tuned.origin
    if _is_other(tuned, task) is not None:  # files take the place of splits
        now["task"] = made["task"]
    folder = build.reward_folder(str(used.reward)) if now["reward_digest"] else None
    if folder and made["reward_digest"] in rated_by(folder):  # P(right) may be calibrated since
        now["reward_digest"] = made["reward_digest"]
    check_tuned(tuned, now, file)


def _is_other(tuned: Tuned, task: str) -> bool | None:
    """Return whether options were tuned on another task of one's own; None if one is a benchmark.

    Rows of one's own have one split: what is held out is another file.
    """
    made = tuned.origin["task"]
    if made in build.TASKS or task in build.TASKS:
        return None
    return Path(made).resolve() != Path(task).resolve()


def _mine(problems: list[Problem], shard: Shard | None) -> list[Problem]:
    """Return the problems of a shard.

    Raises:
      ConfigError: there are more shards than problems.
    """
    if shard is None:
        return problems
    if shard.count > len(problems):
        raise ConfigError(f"{len(problems)} problems cannot be {shard.count} shards (got {shard})")
    return list(shard.part(problems))


@contextmanager
def open_comparison(
    options: PlanOptions, tasks: TaskOptions, models: ModelOptions, active: int, digest: str
) -> Iterator[SearchWork]:
    """Open the models of a comparison in a worker; its work runs searches of it.

    Args:
      options, tasks, models, active: as the command has them.
      digest: of the command's plan.
    Raises:
      ConfigError: here the same options make another plan.
    """
    made = options.comparison(tasks, models, active)
    if plan_digest(made.plan) != digest:
        raise ConfigError(
            f"the worker on {socket.gethostname()} makes another plan of the same options (digest "
            f"{plan_digest(made.plan)}, the command's {digest}): its stepnav, data or models differ"
        )
    searches = {cell.search_id: cell for cell in made.cells}
    with made.used.open(active) as opened:

        def work(feed: Iterator[Begun | None], journal: Journal) -> Iterator[Finished]:
            answered: dict[str, Sequence[Entry]] = {}

            def begin() -> Iterator[Cell | None]:
                for begun in feed:
                    if begun is not None:
                        answered[begun.search_id] = begun.answered
                    yield None if begun is None else searches[begun.search_id]

            return made.run(begin(), opened, journal, active, answered)

        yield work
