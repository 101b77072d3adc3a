"""`stepnav solve`: one problem, or the first ones that chain of thought gets wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from stepnav import build
from stepnav.cli.console import Progress, print_json, stderr, stdout, tell, tell_notes
from stepnav.cli.options.choice import Ids, parse_ids, pick
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.models import ModelOptions
from stepnav.cli.options.shared import (
    AsJson,
    Reward,
    Seed,
    Split,
    TaskOptions,
    TypedTaskName,
    check_written,
)
from stepnav.cli.remarks import is_cut, tell_cut
from stepnav.core.budget import Budget
from stepnav.core.codec import encode_result
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.strategy import Strategy
from stepnav.files.atomic import STDOUT, write_text
from stepnav.run.driver import Driver
from stepnav.run.search import Search
from stepnav.tasks.task import Task
from stepnav.view.page import render_page
from stepnav.view.terminal import TreeFollower
from stepnav.view.verdict import print_verdict

PROBE_COUNT = 16
"""With `--hard`, so many problems are tried by chain of thought at a time."""

MAX_PROBES = 512

ProblemText = Annotated[
    str | None, typer.Argument(help="The problem; left out, one is taken from the task.")
]
Page = Annotated[
    Path | None, typer.Option(help="Also write the tree as an HTML page; - is standard output.")
]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Budget of generated tokens.")]
Hard = Annotated[
    int, typer.Option(min=0, help="Take the first so many problems that cot gets wrong.")
]
StrategyName = Annotated[
    str,
    typer.Option(
        help="NAME, NAME:OPTION=VALUE:OPTION=VALUE, or FILE.py:FUNCTION; see stepnav strategies."
    ),
]


@dataclass(frozen=True, slots=True)
class _Session:
    """What all searches of one call share."""

    task: Task
    driver: Driver
    strategy: Strategy
    budget: Budget
    seed: int

    def search(self, problem: Problem, strategy: Strategy, on_change: Any) -> Search:
        tokens = self.budget.policy_tokens
        return Search(
            id=f"{strategy.label}/{problem.id}",
            strategy=strategy.for_budget(tokens, temperature=self.task.temperature),
            problem=problem,
            extract=self.task.extractor(problem),
            budget=self.budget,
            seed=self.seed,
            on_change=on_change,
        )


def run(
    *,
    problem: ProblemText = None,
    task: TypedTaskName = None,
    split: Split = None,
    task_options: TaskOptions,
    index: Annotated[int, typer.Option(min=0, max=99_999, help="Which problem of the split.")] = 0,
    ids: Ids = None,
    hard: Hard = 0,
    strategy: StrategyName = "hgs",
    reward: Reward = None,
    seed: Seed = 0,
    max_policy_tokens: MaxTokens = None,
    max_seconds: Annotated[float | None, typer.Option(help="Budget of seconds.")] = None,
    page: Page = None,
    model_options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Solve a problem and watch the tree grow.

    Examples:

      stepnav solve

      stepnav solve --hard 3

      stepnav solve "Mia has 12 coins. She finds 30 coins. How many coins does Mia have now?"

      stepnav solve --task gsm8k --data test.jsonl --policy ./my-model --reward ./my-prm
    """
    name = task or _default_task(problem, model_options.policy)
    benchmark = task_options.load(name, sandbox=model_options.sandbox)
    data = task_options.data
    choice = build.parse_strategy(strategy)
    names = None if ids is None else parse_ids(ids)
    if page is not None:
        check_written("--page", page, as_json, data)
        if (count := hard or len(names or ())) > 1:
            raise ConfigError(f"--page shows one search, and this makes {count}; take one problem")
    _check_choice(names, problem, index=index, hard=hard)
    budget = Budget(policy_tokens=max_policy_tokens, seconds=max_seconds)
    used = Chosen.of(model_options, benchmark, [choice], reward)
    [choice] = build.with_measured([choice], used.reward)
    split_name = split or benchmark.default_split
    if problem is not None:
        _check_given(problem, split=split, data=data, index=index, hard=hard)
        problems = [_ask(benchmark, problem)]
    elif names is not None:
        problems = pick(benchmark, names, split_name, seed, data)
    elif hard:
        first = _first_problems(benchmark, split_name, seed, data)
        problems = first(PROBE_COUNT)
    else:
        problems = [_pick(benchmark, split_name, data, index, seed)]
    with used.open() as models:
        tell_notes(models.notes)
        session = _Session(used.task, Driver(models.by_name), choice, budget, seed)
        chosen = _hard_problems(session, split_name, first, hard) if hard else problems
        for item in chosen:
            _solve_one(session, item, page, as_json)


def _check_choice(names: object, text: str | None, *, index: int, hard: int) -> None:
    """Refuse several ways of saying which problems."""
    if names is not None and (hard or index or text is not None):
        raise ConfigError("--ids says which problems; leave --hard, --index and a text out")
    if hard and index:
        raise ConfigError("--hard takes the first hard problems; leave --index out")


def _check_given(text: str, *, split: str | None, data: Path | None, index: int, hard: int) -> None:
    """Refuse a text that is no problem, and options that take problems from elsewhere."""
    if not text.strip():
        raise ConfigError("the problem is empty; give its text, or leave it out to take one")
    if hard:
        raise ConfigError("--hard takes problems from a task; leave the problem's text out")
    if split is not None or data is not None or index:
        raise ConfigError(
            "--split, --data and --index take a problem from a task; leave them or its text out"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError("the problem is not valid UTF-8 text; write it in that") from None


def _ask(task: Task, text: str) -> Problem:
    """Return a typed text as the task's problem."""
    return Problem("given", " ".join(text.split())) if task.ask is None else task.ask(text)


def _default_task(problem: str | None, policy: str | None) -> str:
    """Return the task where none is named: a shipped policy's own, else `plain` for a text."""
    if policy in build.EMBEDDED_TASKS:
        return policy
    return "arithmetic" if problem is None else "plain"


def _solve_one(session: _Session, problem: Problem, page: Path | None, as_json: bool) -> None:
    console = stderr() if page == STDOUT else stdout()
    follower = None if as_json else TreeFollower(console)
    if follower is not None:
        follower.start(problem)
    (result,) = session.driver.run([session.search(problem, session.strategy, follower)])
    doubt = build.doubt_of(session.driver.models["policy"], problem, result)
    correct = None
    if problem.answer is not None:
        correct = session.task.grade(problem, result.answer)
    if as_json:
        print_json({**encode_result(result), "correct": correct, "doubt": doubt})
    elif follower is not None:
        follower.finish()
        print_verdict(console, result, is_correct=correct, reference=problem.answer, doubt=doubt)
        console.print()
    tell_cut(int(is_cut(result)), 1)
    if page is not None:
        write_text(page, render_page(result.tree, result=result, is_correct=correct))
    if result.error is not None:
        raise BackendError(result.error)


def _pick(task: Task, split: str, data: Path | None, index: int, seed: int) -> Problem:
    """Return one problem of a split."""
    if task.problem is not None:
        return pick(task, [f"{task.name}-{split}-{seed}-{index}"], split, seed, data)[0]
    problems = task.load(split, index + 1, seed, data) if data is None else []
    problems = problems or task.load(split, None, seed, data)
    if index >= len(problems):
        raise ConfigError(
            f"{task.name}/{split} has {len(problems)} problems; --index {index} must be below that"
        )
    return problems[index]


def _first_problems(
    task: Task, split: str, seed: int, data: Path | None
) -> Callable[[int], list[Problem]]:
    """Return what gives the first so many problems of a split.

    A task that makes its own makes no more than are asked for: hundreds take as long as a search.
    """
    if task.name in build.EMBEDDED_TASKS:
        return lambda count: task.load(split, count, seed, data)
    problems = task.load(split, MAX_PROBES, seed, data)
    return lambda count: problems[:count]


def _hard_problems(
    session: _Session, split: str, first: Callable[[int], list[Problem]], count: int
) -> Iterator[Problem]:
    """Yield the first problems that greedy chain of thought gets wrong."""
    cot = build.parse_strategy("cot")
    tried: list[SearchResult] = []
    wrong: list[tuple[Problem, SearchResult]] = []
    makes_own = session.task.name in build.EMBEDDED_TASKS
    total = MAX_PROBES if makes_own else len(first(MAX_PROBES))
    with Progress("chain of thought", total, "problems") as progress:
        for start in range(0, total, PROBE_COUNT):
            batch = first(start + PROBE_COUNT)[start:]
            results = {
                result.problem_id: result
                for result in session.driver.run([session.search(p, cot, None) for p in batch])
            }
            for problem in batch:
                error = results[problem.id].error
                if error is not None:
                    raise BackendError(error)
                tried.append(results[problem.id])
                progress.advance()
                if session.task.grade(problem, results[problem.id].answer) is False:
                    wrong.append((problem, results[problem.id]))
                if len(wrong) == count:
                    break
            if len(wrong) == count:
                break
    tell(
        f"Chain of thought got {len(wrong)} of the first {len(tried)} problems of "
        f"{session.task.name}/{split} wrong. These, with {session.strategy.label}:\n"
    )
    for problem, result in wrong:
        tell(f"Chain of thought answers {result.answer}, which is wrong.")
        yield problem
