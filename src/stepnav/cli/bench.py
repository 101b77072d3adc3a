"""`stepnav bench`: strategies on the same problems, at the same budgets, into one run folder."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stepnav import build
from stepnav.cli import report as report_command
from stepnav.cli.choice import Ids, parse_ids, pick
from stepnav.cli.console import Interrupted, Progress, print_json, resumable, stderr, stdout
from stepnav.cli.dry_run import tell_dry_run
from stepnav.cli.model_options import ModelOptions
from stepnav.cli.options import AsJson, Resume, Reward, Seed, Split, TaskName, TaskOptions
from stepnav.cli.remarks import tell_problems
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.shard import Shard
from stepnav.core.strategy import RESERVE_SHARE
from stepnav.files.lock import locked
from stepnav.measure.extras import check_installed
from stepnav.measure.plan import SHARD, BenchPlan, Cell, cells
from stepnav.measure.plan_file import (
    FILE_NAME,
    check_same,
    plan_digest,
    read_plan,
    write_plan,
)
from stepnav.measure.run_folder import JOURNAL_NAME, check_is_free
from stepnav.measure.runner import run_cells
from stepnav.run.journal import Journal
from stepnav.tasks.task import Task

NUM_PROBLEMS = 300


def run(
    *,
    out: Annotated[Path, typer.Option(help="Run folder: configuration, journal, report.")],
    task: TaskName = "arithmetic",
    strategies: Annotated[
        str,
        typer.Option(
            help="Comma-separated: NAME, NAME:OPTION=VALUE:OPTION=VALUE, or FILE.py:FUNCTION; see "
            "stepnav strategies. "
            "[default: cot, self_consistency, best_of_n, weighted_vote, beam, hgs]",
            show_default=False,
        ),
    ] = "cot,self_consistency,best_of_n,weighted_vote,beam,hgs",
    problems: Annotated[int | None, typer.Option(min=1, help="How many. [default: 300]")] = None,
    ids: Ids = None,
    split: Split = None,
    task_options: TaskOptions,
    seeds: Annotated[int, typer.Option(min=1, help="Searches per problem.")] = 1,
    seed: Seed = 0,
    max_policy_tokens: Annotated[
        int | None, typer.Option(min=1, help="Budget of generated tokens per search.")
    ] = None,
    budgets: Annotated[
        str | None, typer.Option(help="Several such budgets, comma-separated.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Strategy to compare with. [default: cot]")
    ] = None,
    reward: Reward = None,
    resume: Resume = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Tell searches, requests and tokens; load and ask nothing (names of the hub are "
            "fetched).",
        ),
    ] = False,
    active: Annotated[int, typer.Option(min=1, help="Searches that run at once.")] = 192,
    shard: Annotated[
        str | None,
        typer.Option(
            help="i/n: only the i-th of n parts of the problems; stepnav merge joins them."
        ),
    ] = None,
    model_options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Compare strategies on the same problems, at the same budgets.

    Examples:

      stepnav bench --out runs/first --problems 100

      stepnav bench --out runs/equal --budgets 250,500,1000,2000 --resume

      stepnav bench --out runs/part-2 --shard 2/8

      stepnav bench --out runs/ablation --strategies cot,hgs,hgs:temperature=0.1,hgs:branching=4
    """
    check_installed()
    server = model_options.server(active, reward)
    benchmark = task_options.load(task, sandbox=model_options.sandbox)
    choices = [build.parse_strategy(text) for text in strategies.split(",") if text.strip()]
    limits = _budgets(budgets, max_policy_tokens)
    part = None if shard is None else Shard.parse(shard)
    policy, reward = model_options.choose(benchmark, choices, reward)
    benchmark, num_shots = model_options.with_shots(benchmark, policy)
    where = (split or benchmark.default_split, seed, task_options.data)
    drawn = _draw(benchmark, problems, ids, *where)
    plan = BenchPlan(
        task=task,
        split=where[0],
        strategies=tuple(
            choice.for_plan(limits, temperature=benchmark.temperature) for choice in choices
        ),
        problems=len(drawn),
        seeds=seeds,
        seed=seed,
        budgets=limits,
        policy=model_options.full_name(policy),
        reward=reward,
        baseline=baseline,
        settings={
            "reserve_share": RESERVE_SHARE,
            "dtype": model_options.dtype,
            "chat": model_options.chat,
            "shots": num_shots,
            **task_options.settings(task, drawn),
            **({} if ids is None else {"ids": ",".join(problem.id for problem in drawn)}),
            **({"sandbox": model_options.sandbox} if task in build.CODE_TASKS else {}),
            **server.result_settings(),
            **model_options.reward_settings(),
            **({} if part is None else {SHARD: str(part)}),
        },
    )
    mine = _part(drawn, part)
    tell_problems(drawn, problems, f"{task}/{plan.split}")
    num_done = _num_done(out, plan, resume)
    if dry_run:
        tell_dry_run(plan, mine, benchmark.extract, num_done=num_done, as_json=as_json)
        return
    _prepare(out)
    with locked(out):
        models = model_options.open(
            policy=policy, reward=plan.reward, task=benchmark, server=server, max_batch=active
        )
        if not (out / FILE_NAME).exists():  # not before the models are there: a slip in their name
            write_plan(plan, out)  # would bind the folder to it
        with resumable(partial(_kept, out, plan, len(mine))), models:
            _run_all(plan, mine, benchmark, models, out, active)
    if part is None:
        _report(out, baseline, as_json)
    else:
        _tell_shard(out, part, len(mine) * plan.searches_per_problem, as_json)


def _report(out: Path, baseline: str | None, as_json: bool) -> None:
    try:
        report_command.run(run=out, baseline=baseline, as_json=as_json)
    except KeyboardInterrupt:
        again = shlex.join(["stepnav", "report", str(out)])
        raise Interrupted(
            f"interrupted: all searches are done and kept; make the report with: {again}"
        ) from None


def _tell_shard(out: Path, shard: Shard, num_searches: int, as_json: bool) -> None:
    if as_json:
        print_json({"out": str(out), "shard": str(shard), "searches": num_searches})
        return
    stdout().print(
        f"Shard {shard} is done: {num_searches} searches in {out}. When all are: "
        "stepnav merge RUNS... --out RUN",
        soft_wrap=True,
    )


def _run_all(
    plan: BenchPlan,
    problems: list[Problem],
    task: Task,
    models: build.Models,
    out: Path,
    active: int,
) -> None:
    """Run what is left of the plan, with the journal of its folder."""
    for note in models.notes:
        stderr().print(f"note: {note}", soft_wrap=True)
    with contextlib.closing(Journal(out / JOURNAL_NAME, plan_digest(plan))) as journal:
        _run(plan, problems, task, models, journal, active)


def _run(
    plan: BenchPlan,
    problems: list[Problem],
    task: Task,
    models: build.Models,
    journal: Journal,
    active: int,
) -> None:
    """Run what is left of the plan behind a progress bar."""
    total = len(problems) * plan.searches_per_problem
    with Progress("bench", total, "searches") as progress:

        def on_result(cell: Cell, result: SearchResult | None) -> None:
            if result is None:
                progress.skip()
            else:
                label = cell.strategy.label
                progress.advance(label if cell.budget is None else f"{label} {cell.budget}")

        run_cells(
            cells(replace(plan, problems=len(problems)), [problem.id for problem in problems]),
            problems,
            extractor=task.extractor,
            grade=task.grade,
            models=models.by_name,
            journal=journal,
            max_active=active,
            on_result=on_result,
        )


def _budgets(budgets: str | None, max_policy_tokens: int | None) -> tuple[int | None, ...]:
    if budgets is None:
        return (max_policy_tokens,)
    if max_policy_tokens is not None:
        raise ConfigError("give either --budgets or --max-policy-tokens, not both")
    try:
        limits = tuple(int(text) for text in budgets.split(","))
    except ValueError:
        raise ConfigError(
            f"--budgets must be whole numbers between commas, as in 250,500,1000 (got {budgets!r})"
        ) from None
    return limits


def _draw(
    task: Task,
    problems: int | None,
    ids: str | None,
    split: str,
    seed: int,
    data: Path | None,
) -> list[Problem]:
    """Return the problems of the run: so many, or those of some ids."""
    if ids is None:
        return task.load(split, problems or NUM_PROBLEMS, seed, data)
    if problems is not None:
        raise ConfigError("--ids says which problems; leave --problems out")
    return pick(task, parse_ids(ids), split, seed, data)


def _part(problems: list[Problem], shard: Shard | None) -> list[Problem]:
    """Return the problems of a shard.

    Raises:
      ConfigError: there are more shards than problems.
    """
    if shard is None:
        return problems
    if shard.count > len(problems):
        raise ConfigError(f"{len(problems)} problems cannot be {shard.count} shards (got {shard})")
    return list(shard.part(problems))


def _kept(out: Path, plan: BenchPlan, num_problems: int) -> str:
    """Return what there is of a run that was stopped."""
    total = num_problems * plan.searches_per_problem
    return f"{_num_done(out, plan, True)} of {total} searches are done and kept"


def _num_done(out: Path, plan: BenchPlan, resume: bool) -> int:
    """Return how many searches of the plan a folder holds, having checked that it is the plan's."""
    if not (out / FILE_NAME).exists():
        return 0
    if not resume:
        raise ConfigError(f"{out} holds a run already; add --resume, or use another --out")
    check_same(read_plan(out), plan, str(out))
    if not (out / JOURNAL_NAME).exists():
        return 0
    with contextlib.closing(Journal(out / JOURNAL_NAME, is_read_only=True)) as journal:
        return len(journal.finished_ids())


def _prepare(out: Path) -> None:
    """Make the run's folder if it is not there."""
    if (out / FILE_NAME).exists():
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the run folder {out} ({error.strerror})") from None
    check_is_free(out)
