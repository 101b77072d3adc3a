"""`stepnav tune`: the best options of each strategy for each budget, into a file for `bench`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from stepnav import build
from stepnav.cli.bench_plan import Comparison
from stepnav.cli.console import Progress, print_json, resumable, say, tell, tell_notes
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.models import ModelOptions
from stepnav.cli.options.shared import AsJson, Resume, Reward, Seed, TaskName, TaskOptions
from stepnav.cli.remarks import tell_failed, tell_problems
from stepnav.cli.run_folder import (
    draw_problems,
    num_done,
    parse_budgets,
    plan_of,
    prepare,
    split_names,
    split_to_report_on,
    tuning_split,
)
from stepnav.core.errors import ConfigError
from stepnav.files.lock import locked
from stepnav.front.origin import made_for
from stepnav.measure.extras import check_installed
from stepnav.measure.plan import BenchPlan, Cell
from stepnav.measure.plan_file import FILE_NAME as PLAN_NAME
from stepnav.measure.plan_file import plan_digest, write_plan
from stepnav.measure.run_folder import JOURNAL_NAME
from stepnav.measure.runner import read_rows, wall_seconds
from stepnav.measure.tuned_file import FILE_NAME, Tuned, tuned_object, write_tuned
from stepnav.measure.tuning import find_best, num_searches, parse_rungs
from stepnav.run.journal import Journal

RUNGS = "40,80,160"


@dataclass(frozen=True, slots=True)
class GridOptions:
    """Which options are tried, and on what."""

    strategies: Annotated[
        str,
        typer.Option(
            help="Comma-separated: NAME for its grid (--dry-run shows it), NAME:OPTION=VALUE for "
            "options of your own, or all."
        ),
    ] = "all"
    rungs: Annotated[
        str,
        typer.Option(
            help="Problems, comma-separated: all options are tried on the first so many, the best "
            "third, but at least two, on the next, and so on. The first of a strategy (in a grid, "
            "its defaults) always goes on, and wins unless another is ahead by a standard error."
        ),
    ] = RUNGS
    split: Annotated[str | None, typer.Option(help="Its split. [default: dev, else train]")] = None

    def open(
        self,
        task: str,
        budgets: tuple[int, ...],
        task_options: TaskOptions,
        model_options: ModelOptions,
        seed: int,
        reward: str | None,
        active: int,
    ) -> tuple[Comparison, dict[str, dict[str, str]]]:
        """Return all searches that there may be, and what the user would write for each strategy.

        The latter by its name and its label.

        Raises:
          ConfigError, DataError: of any of it.
        """
        benchmark = task_options.load(task, sandbox=model_options.sandbox)
        steps = parse_rungs(self.rungs)
        texts = [text for name in split_names(self.strategies) for text in build.candidates(name)]
        choices = [build.parse_strategy(text) for text in texts]
        used = Chosen.of(model_options, benchmark, choices, reward, active)
        benchmark = used.task
        where = (tuning_split(benchmark, self.split), seed, task_options.data)
        if self.split is None and task_options.data is not None:
            note = f"{where[-1]} is taken for the {where[0]} split of {task}; --split names another"
            tell_notes([note])
        drawn = draw_problems(benchmark, steps[-1], None, *where, default=steps[-1])
        tell_problems(drawn, steps[-1], f"{task}/{where[0]}")
        if len(drawn) < steps[-1]:
            raise ConfigError(f"--rungs must not be above the {len(drawn)} problems that there are")
        plan = plan_of(
            task, drawn, task_options, used, choices, texts=texts, split=where[0], seed=seed,
            budgets=budgets, own_settings={"rungs": steps},
        )  # fmt: skip
        tried = _tried(plan, dict(zip(plan.labels, texts)))
        return Comparison(plan, drawn, drawn, used), tried


def run(
    *,
    out: Annotated[Path, typer.Option(help=f"Run folder: configuration, journal, {FILE_NAME}.")],
    task: TaskName = "arithmetic",
    budgets: Annotated[str, typer.Option(help="Generated tokens per search, comma-separated.")],
    grid: GridOptions,
    task_options: TaskOptions,
    seed: Seed = 0,
    reward: Reward = None,
    resume: Resume = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell what is tried and what it may cost; ask nothing."),
    ] = False,
    active: Annotated[int, typer.Option(min=1, help="Searches that run at once.")] = 192,
    model_options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Find the best options of each strategy for each budget, for `bench --tuned`.

    Examples:

      stepnav tune --task arithmetic --budgets 250,1000,4000 --out runs/tune --dry-run

      stepnav tune --budgets 500 --strategies hgs:branching=4,hgs:branching=16 --out runs/hgs

      stepnav bench --tuned runs/tune/tuned.json --split test --out runs/best
    """
    check_installed()
    given = (task_options, model_options, seed, reward, active)
    compared, tried = grid.open(task, parse_budgets(budgets), *given)
    plan = compared.plan
    _tell_cost(plan, tried, num_done(out, plan, resume), dry_run, as_json)
    if dry_run:
        return
    prepare(out)
    with locked(out):
        models = compared.used.open(active)
        if not (out / PLAN_NAME).exists():
            write_plan(plan, out)
        with resumable(partial(_kept, out, plan)), models:
            tuned = _tune(compared, tried, models, out, active)
    write_tuned(out / FILE_NAME, tuned)
    _tell(tuned, out / FILE_NAME, split_to_report_on(compared.task, plan.split), as_json)


def _tried(plan: BenchPlan, texts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return strategy -> label -> what the user would write for it."""
    found: dict[str, dict[str, str]] = {}
    for strategy in plan.strategies:
        found.setdefault(strategy.name, {})[strategy.label] = texts[strategy.label]
    return found


def _count(plan: BenchPlan, rivals: int) -> int:
    """Return how many searches a strategy takes that has so many rivals, at all budgets."""
    return num_searches(rivals, plan.settings["rungs"]) * len(plan.budgets)


def _tell_cost(
    plan: BenchPlan,
    tried: Mapping[str, Mapping[str, str]],
    done: int,
    is_dry: bool,
    as_json: bool,
) -> None:
    """Say what is tried and what it may cost, before it begins."""
    mean = sum(budget or 0 for budget in plan.budgets) / len(plan.budgets)
    rows: list[dict[str, Any]] = [
        {
            "strategy": name,
            "searches": (searches := _count(plan, len(rivals))),
            "policy_tokens_at_most": round(searches * mean),
            "tried": list(rivals.values()),
        }
        for name, rivals in tried.items()
    ]
    total, tokens = (sum(row[key] for row in rows) for key in list(rows[0])[1:3])
    if is_dry and as_json:
        print_json({"searches": total, "done": done, "rows": rows})
        return
    for row in rows if is_dry else ():
        say(
            f"{row['strategy']}: {row['searches']:,} searches, at most "
            f"{row['policy_tokens_at_most']:,} policy tokens; {', '.join(row['tried'])}"
        )
    show = say if is_dry else tell
    show(
        f"{total:,} searches of {plan.problems} problems ({plan.task}/{plan.split}), {done:,} of "
        f"them done; at most {tokens:,} policy tokens"
    )


def _tune(
    compared: Comparison,
    tried: Mapping[str, Mapping[str, str]],
    models: build.Models,
    out: Path,
    active: int,
) -> Tuned:
    """Return the best options, having run what the folder does not hold yet."""
    plan, grade = compared.plan, compared.task.grade
    tell_notes(models.notes)
    total = sum(_count(plan, len(rivals)) for rivals in tried.values())
    texts = {label: text for rivals in tried.values() for label, text in rivals.items()}
    with (
        contextlib.closing(Journal(out / JOURNAL_NAME, plan_digest(plan))) as journal,
        Progress("tune", total, "searches", first=len(journal.finished_ids())) as progress,
    ):

        def run_those(only: Callable[[Cell], bool]) -> None:
            wanted = [cell for cell in compared.cells if only(cell)]
            for found in compared.run(wanted, models, journal, active):
                if found.is_new:
                    progress.advance(found.label)

        best = find_best(
            plan,
            texts,
            [problem.id for problem in compared.problems],
            plan.settings["rungs"],
            run=run_those,
            rows=lambda: read_rows(plan, journal, grade=grade),
        )
        rows = read_rows(plan, journal, grade=grade)
        failed = (journal.result(row.search_id) for row in rows if row.failed)
        errors = [result.error for result in failed if result and result.error is not None]
        tell_failed(errors, len(rows), "stepnav tune --resume tries them again")
        seconds = sum(wall_seconds(journal).values())
    origin = {
        **made_for(plan.task, plan.policy, plan.reward),
        "split": plan.split,
        "seed": plan.seed,
        "rungs": plan.settings["rungs"],
        "searches": len(rows),
        "policy_tokens": sum(row.policy_tokens for row in rows),
        "reward_tokens": sum(row.reward_tokens for row in rows),
        "seconds": round(seconds, 1),
    }
    return Tuned(origin, tuple(best))


def _tell(tuned: Tuned, path: Path, split: str | None, as_json: bool) -> None:
    """Print the winners, what it took to find them, and how to use them, on a split if it says."""
    if as_json:
        print_json(tuned_object(tuned))
        return
    for best in tuned.best:
        figures = (
            "the only one tried"
            if best.tried == 1
            else f"none of {best.tried} could be graded"
            if best.accuracy is None
            else f"{100 * best.accuracy:.1f}% of {best.problems}, {best.policy_tokens:.0f} tokens, "
            f"best of {best.tried}"
        )
        say(f"{best.budget}  {best.setting}  {figures}")
    cost = tuned.origin
    tell(
        f"{cost['searches']:,} searches, {cost['policy_tokens']:,} policy and "
        f"{cost['reward_tokens']:,} reward tokens, {cost['seconds']:,.0f} s; use them with "
        f"the same models: stepnav bench --task {cost['task']}"
        f"{f' --split {split}' if split else ''} --tuned {path}"
    )


def _kept(out: Path, plan: BenchPlan) -> str:
    """Return what there is of a run that was stopped."""
    return f"{num_done(out, plan, True)} searches are done and kept"
