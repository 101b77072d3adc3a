"""`stepnav bench`: strategies on the same problems, at the same budgets, into one run folder."""

from __future__ import annotations

import contextlib
import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stepnav import build
from stepnav.cli import report as report_command
from stepnav.cli.choice import Ids
from stepnav.cli.console import Interrupted, Progress, resumable, tell_notes
from stepnav.cli.dry_run import tell_dry_run
from stepnav.cli.model_options import ModelOptions
from stepnav.cli.options import AsJson, Resume, Reward, Seed, Split, TaskName, TaskOptions
from stepnav.cli.remarks import tell_problems
from stepnav.cli.run_folder import (
    JOURNAL_NAME,
    draw_problems,
    made_for,
    num_done,
    parse_budgets,
    prepare,
    run_searches,
    run_settings,
    split_names,
    with_tuned,
)
from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem
from stepnav.files.lock import locked
from stepnav.measure.extras import check_installed
from stepnav.measure.plan import BenchPlan, cells
from stepnav.measure.plan_file import FILE_NAME, plan_digest, write_plan
from stepnav.measure.tuned_file import Tuned, check_tuned, read_tuned
from stepnav.run.journal import Journal
from stepnav.tasks.task import Task

NUM_PROBLEMS = 300

DEFAULT_STRATEGIES = "cot,self_consistency,best_of_n,weighted_vote,beam,hgs,nav"
"""The baseline, what the field compares with, the paper's search and ours; each more is asked for
by name, as it costs about as much as any of these."""


def run(
    *,
    out: Annotated[Path, typer.Option(help="Run folder: configuration, journal, report.")],
    task: TaskName = "arithmetic",
    strategies: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: NAME, NAME:OPTION=VALUE:OPTION=VALUE, NAME:published, all, or "
            "FILE.py:FUNCTION; see stepnav strategies. [default: "
            f"{DEFAULT_STRATEGIES.replace(',', ', ')}; with --tuned, the file's]",
        ),
    ] = None,
    tuned: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take each strategy's options for each budget from this file of stepnav tune, "
            "where none are given.",
        ),
    ] = None,
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
        str | None,
        typer.Option(
            help="Several such budgets, comma-separated. [default: with --tuned, the file's]"
        ),
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
    model_options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Compare strategies on the same problems, at the same budgets.

    Examples:

      stepnav bench --out runs/first --problems 100

      stepnav bench --out runs/equal --budgets 250,500,1000,2000 --resume

      stepnav bench --out runs/ablation --strategies cot,hgs,hgs:temperature=0.1,hgs:branching=4

      stepnav bench --out runs/best --tuned runs/tune/tuned.json --strategies all,hgs:published
    """
    check_installed()
    server = model_options.server(active, reward)
    benchmark = task_options.load(task, sandbox=model_options.sandbox)
    found = None if tuned is None else read_tuned(tuned)
    names = strategies or (",".join(found.strategies) if found else DEFAULT_STRATEGIES)
    choices = [build.parse_strategy(text) for text in split_names(names)]
    limits = _budgets(budgets, max_policy_tokens, found)
    policy, reward = model_options.choose(benchmark, choices, reward)
    choices = build.with_measured(choices, reward)
    if found is not None:
        check_tuned(found, made_for(task, model_options.full_name(policy), reward), str(tuned))
        choices = [with_tuned(choice, found, limits) for choice in choices]
    benchmark, num_shots = model_options.with_shots(benchmark, policy)
    where = (split or benchmark.default_split, seed, task_options.data)
    drawn = draw_problems(benchmark, problems, ids, *where, default=NUM_PROBLEMS)
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
            **run_settings(task, drawn, task_options, model_options, server, num_shots),
            **({} if ids is None else {"ids": ",".join(problem.id for problem in drawn)}),
        },
    )
    tell_problems(drawn, problems, f"{task}/{plan.split}")
    done = num_done(out, plan, resume)
    if dry_run:
        tell_dry_run(plan, drawn, benchmark.extract, num_done=done, as_json=as_json)
        return
    prepare(out)
    with locked(out):
        models = model_options.open(
            policy=policy, reward=plan.reward, task=benchmark, server=server, max_batch=active
        )
        if not (out / FILE_NAME).exists():  # not before the models are there: a slip in their name
            write_plan(plan, out)  # would bind the folder to it
        total = len(cells(plan, [problem.id for problem in drawn]))
        with resumable(partial(_kept, out, plan, total)), models:
            _run_all(plan, drawn, benchmark, models, out, active)
    _report(out, baseline, as_json)


def _report(out: Path, baseline: str | None, as_json: bool) -> None:
    try:
        report_command.run(run=out, baseline=baseline, as_json=as_json)
    except KeyboardInterrupt:
        again = shlex.join(["stepnav", "report", str(out)])
        raise Interrupted(
            f"interrupted: all searches are done and kept; make the report with: {again}"
        ) from None


def _run_all(
    plan: BenchPlan,
    problems: list[Problem],
    task: Task,
    models: build.Models,
    out: Path,
    active: int,
) -> None:
    """Run what is left of the plan behind a progress bar, with the journal of its folder."""
    tell_notes(models.notes)
    total = len(cells(plan, [problem.id for problem in problems]))
    with (
        contextlib.closing(Journal(out / JOURNAL_NAME, plan_digest(plan))) as journal,
        Progress("bench", total, "searches") as progress,
    ):
        run_searches(plan, problems, task, models, journal, active, progress)


def _budgets(
    budgets: str | None, max_policy_tokens: int | None, tuned: Tuned | None
) -> tuple[int | None, ...]:
    if budgets is None and max_policy_tokens is None and tuned is not None:
        return tuple(tuned.budgets)
    if budgets is None:
        return (max_policy_tokens,)
    if max_policy_tokens is not None:
        raise ConfigError("give either --budgets or --max-policy-tokens, not both")
    return parse_budgets(budgets)


def _kept(out: Path, plan: BenchPlan, total: int) -> str:
    """Return what there is of a run that was stopped."""
    return f"{num_done(out, plan, True)} of {total} searches are done and kept"
