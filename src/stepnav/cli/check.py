"""`stepnav check`: whether policy, task and reward model fit, before a night is spent on them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from stepnav import build
from stepnav.cli.console import Progress, print_json, say
from stepnav.cli.dry_run import Shape, estimate
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.models import ModelOptions
from stepnav.cli.options.shared import AsJson, Reward, Seed, Split, TaskName, TaskOptions
from stepnav.core.backend import Answer
from stepnav.core.records import Problem
from stepnav.core.requests import POLICY
from stepnav.core.strategy import Strategy
from stepnav.measure.check import (
    Finding,
    Seen,
    drawing,
    policy_findings,
    reward_findings,
    shape,
)
from stepnav.measure.extras import check_installed
from stepnav.run.driver import Driver
from stepnav.run.scoring import score_trajectories
from stepnav.run.search import Search
from stepnav.tasks.task import Task

EXIT_DOES_NOT_FIT = 1
BENCH_PROBLEMS = 300
"""A bench of so many problems is what the cost is told for."""


def run(
    *,
    task: TaskName = "arithmetic",
    task_options: TaskOptions,
    split: Split = None,
    problems: Annotated[int, typer.Option(min=2, help="How many are looked at.")] = 30,
    samples: Annotated[int, typer.Option(min=2, help="Solutions drawn of each.")] = 4,
    strategy: Annotated[str, typer.Option(help="Whose cost is told.")] = "hgs",
    reward: Reward = None,
    seed: Seed = 0,
    active: Annotated[int, typer.Option(min=1, help="Problems worked on at once.")] = 64,
    model_options: ModelOptions,
    as_json: AsJson = False,
) -> int:
    """Tell on one page whether policy, prompt, task and reward model fit; exit code 1 if not.

    Told are: where steps end, whether a step by itself is what it is within a solution, whether
    answers are found, what a server does not honour, whether the reward model's scores are better
    than chance, and what a bench would cost and may gain.

    Examples:

      stepnav check --task arithmetic

      stepnav check --policy http://localhost:8000/v1 --reward ./my-prm --task gsm8k --data F
    """
    check_installed()
    chosen = build.parse_strategy(strategy)
    benchmark = task_options.load(task, sandbox=model_options.sandbox)
    used = Chosen.of(model_options, benchmark, [build.strategy("hgs")], reward, active)
    benchmark = used.task
    drawn = benchmark.load(split or benchmark.default_split, problems, seed, task_options.data)
    with used.open(active) as models:
        names = f"{used.policy}, reward {used.reward}"
        findings = [
            Finding("policy", f"{names}, {len(drawn)} problems of {task}"),
            *(Finding("server", note) for note in models.notes),
        ]
        seen, rate = _draw(models, benchmark, drawn, samples, seed, active)
        findings += policy_findings(seen, benchmark)
        score_rate = _score(models, seen)
        findings += reward_findings(seen)
        findings += _cost(chosen, benchmark, drawn, seed, seen, rate, score_rate)
    _tell(findings, as_json)
    return EXIT_DOES_NOT_FIT if any(finding.fits is False for finding in findings) else 0


def _draw(
    models: build.Models, task: Task, problems: Sequence[Problem], samples: int, seed: int,
    active: int,
) -> tuple[list[Seen], float]:  # fmt: skip
    """Return what was seen of each problem, and the tokens generated in a second."""
    temperature = 1.0 if task.temperature is None else task.temperature
    seen = [Seen(problem) for problem in problems]
    searches = [
        Search(
            id=item.problem.id,
            strategy=Strategy("check", function=_program(item, samples, temperature)),
            problem=item.problem,
            extract=task.extract,
            seed=seed,
        )
        for item in seen
    ]
    tokens, began = 0, time.monotonic()
    with Progress("check", len(searches), "problems") as bar:
        for result in Driver({POLICY: models.policy}, max_active=active).run(searches):
            if result.failure is not None:
                raise result.failure
            tokens += result.usage.policy_tokens
            bar.advance()
    rate = tokens / max(1e-9, time.monotonic() - began)
    for item in seen:
        item.is_right = [
            task.grade(item.problem, task.extract(solution.text)) if solution.is_finished else False
            for solution in item.solutions
        ]
    return seen, rate


def _program(seen: Seen, samples: int, temperature: float):  # type: ignore[no-untyped-def]
    def check(tree):  # type: ignore[no-untyped-def]
        return drawing(tree, seen=seen, samples=samples, temperature=temperature)

    return check


def _score(models: build.Models, seen: Sequence[Seen]) -> float:
    """Have the solutions scored; return the tokens read in a second."""
    assert models.reward is not None, "hgs needs one"
    where = [(item, number) for item in seen for number in range(len(item.solutions))]
    for item in seen:
        item.scores = [None] * len(item.solutions)
    tokens, began = 0, time.monotonic()
    solutions = [item.solutions[number] for item, number in where]
    for position, answer in score_trajectories(models.reward, solutions):
        item, number = where[position]
        if isinstance(answer, Answer):
            item.scores[number] = tuple(answer.items)
            tokens += answer.usage.reward_tokens
        else:
            item.errors.append(str(answer))
    return tokens / max(1e-9, time.monotonic() - began)


def _cost(
    chosen: Strategy, task: Task, problems: Sequence[Problem], seed: int, seen: Sequence[Seen],
    rate: float, score_rate: float,
) -> Iterator[Finding]:  # fmt: skip
    """Yield what a bench of a strategy would come to, with solutions as they were drawn."""
    row = estimate(
        chosen, None, problems, task.extract, seed=seed, searches=BENCH_PROBLEMS,
        shape=Shape(*shape(seen)),
    )  # fmt: skip
    generated, read = row["policy_tokens"], row["reward_tokens"]
    minutes = (generated / max(1e-9, rate) + read / max(1e-9, score_rate)) / 60
    yield Finding(
        "cost",
        f"a bench of {BENCH_PROBLEMS} problems with {chosen.label}: about {generated:,} tokens "
        f"generated and {read:,} rated, {minutes:.1f} minutes at {rate:,.0f} and "
        f"{score_rate:,.0f} tokens a second as now",
    )


def _tell(findings: Sequence[Finding], as_json: bool) -> None:
    if as_json:
        print_json({"fits": all(f.fits is not False for f in findings),
                    "findings": [asdict(finding) for finding in findings]})  # fmt: skip
        return
    marks = {True: "fits", False: "NO", None: ""}
    for finding in findings:
        say(f"{finding.about:8} {marks[finding.fits]:4}  {finding.text}")
    bad = [finding.about for finding in findings if finding.fits is False]
    said = f"does not fit: {', '.join(bad)}" if bad else "nothing speaks against a run"
    say(f"\n{said}")
