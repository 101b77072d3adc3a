"""`stepnav bench`: strategies on the same problems, at the same budgets, into one run folder."""

from __future__ import annotations

import shlex
from pathlib import Path

from stepnav import build
from stepnav.cli import report as report_command
from stepnav.cli.console import Interrupted, Progress, loading, resumable, stderr
from stepnav.cli.remarks import tell_problems
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.strategy import RESERVE_SHARE
from stepnav.files.lock import LOCK_NAME, locked
from stepnav.measure.extras import check_installed
from stepnav.measure.plan import BenchPlan, Cell, cells
from stepnav.measure.plan_file import (
    FILE_NAME,
    check_same,
    plan_digest,
    problems_digest,
    read_plan,
    write_plan,
)
from stepnav.measure.runner import run_plan
from stepnav.policies.openai.options import ServerOptions
from stepnav.run.journal import Journal
from stepnav.tasks.task import Task

JOURNAL_NAME = "journal.sqlite"


def run(
    *,
    out: Path,
    task: str,
    strategies: str,
    problems: int | None,
    split: str | None,
    data: Path | None,
    seeds: int,
    seed: int,
    max_policy_tokens: int | None,
    budgets: str | None,
    baseline: str | None,
    policy: str | None,
    policy_model: str | None,
    reward: str | None,
    resume: bool,
    active: int,
    device: str,
    dtype: str,
    shots: int | None,
    chat: bool,
    sandbox: str,
    as_json: bool,
    server: ServerOptions,
) -> None:
    """Run, resume and report a comparison; arguments as in `stepnav bench --help`."""
    check_installed()
    benchmark = build.load_task(task, sandbox=sandbox)
    choices = [build.parse_strategy(text) for text in strategies.split(",") if text.strip()]
    limits = _budgets(budgets, max_policy_tokens)
    build.check_device(device, dtype)
    policy, reward = build.choose_models(benchmark, choices, policy, reward)
    build.check_models(policy=policy, reward=reward, task=benchmark, policy_model=policy_model)
    benchmark, num_shots = build.choose_shots(benchmark, shots, policy, chat=chat)
    drawn = benchmark.load(split or benchmark.default_split, problems, seed, data)
    plan = BenchPlan(
        task=task,
        split=split or benchmark.default_split,
        strategies=tuple(
            choice.for_plan(limits[0], temperature=benchmark.temperature) for choice in choices
        ),
        problems=len(drawn),
        seeds=seeds,
        seed=seed,
        budgets=limits,
        policy=policy if policy_model is None else f"{policy}#{policy_model}",
        reward=reward,
        baseline=baseline,
        settings={
            "reserve_share": RESERVE_SHARE,
            "dtype": dtype,
            "chat": chat,
            "shots": num_shots,
            "data": None if data is None else str(data),
            **({"sandbox": sandbox} if task in build.CODE_TASKS else {}),
            **({} if data is None else {"data_digest": problems_digest(drawn)}),
            **server.result_settings(),
        },
    )
    _prepare(out, plan, resume)
    tell_problems(drawn, problems, f"{task}/{plan.split}")
    with locked(out):
        with loading("torch and the models"):
            models = build.open_models(
                policy=policy,
                policy_model=policy_model,
                reward=plan.reward,
                task=benchmark,
                device=device,
                dtype=dtype,
                chat=chat,
                max_batch=active,
                server=server,
            )
        if not (out / FILE_NAME).exists():  # not before the models are there: a slip in their name
            write_plan(plan, out)  # would bind the folder to it
        with models:
            _run_all(plan, drawn, benchmark, models, out, active)
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
    """Run what is left of the plan; say how to go on if it is stopped."""
    journal = Journal(out / JOURNAL_NAME, plan_digest(plan))
    total = len(cells(plan, [problem.id for problem in problems]))

    def done() -> str:
        return f"{len(journal.finished_ids())} of {total} searches are done and kept"

    try:
        for note in models.notes:
            stderr().print(f"note: {note}", soft_wrap=True)
        with resumable(done):
            _run(plan, problems, task, models, journal, active)
    finally:
        journal.close()


def _run(
    plan: BenchPlan,
    problems: list[Problem],
    task: Task,
    models: build.Models,
    journal: Journal,
    active: int,
) -> None:
    """Run what is left of the plan behind a progress bar."""
    total = len(cells(plan, [problem.id for problem in problems]))
    with Progress("bench", total, "searches") as progress:

        def on_result(cell: Cell, result: SearchResult | None) -> None:
            if result is None:
                progress.skip()
            else:
                label = cell.strategy.label
                progress.advance(label if cell.budget is None else f"{label} {cell.budget}")

        run_plan(
            plan,
            problems,
            extract=task.extract,
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


def _prepare(out: Path, plan: BenchPlan, resume: bool) -> None:
    """Make the run's folder, or check that it belongs to the same plan."""
    if (out / FILE_NAME).exists():
        if not resume:
            raise ConfigError(f"{out} holds a run already; add --resume, or use another --out")
        check_same(read_plan(out), plan, str(out))
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the run folder {out} ({error.strerror})") from None
    if any(path.name != LOCK_NAME for path in out.iterdir()):
        raise ConfigError(f"{out} is not empty and not a run folder; use another --out")
