"""The front door: solve a question, watch it being solved, compare strategies, from Python.

The same names, models and defaults as on the command line; `stepnav/__init__.py` lists what is
public. Models may be names, folders, URLs, backends, or plain functions.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.core.budget import Budget, Usage
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Node
from stepnav.measure.results import Results
from stepnav.run.driver import Driver
from stepnav.run.search import Search
from stepnav.tasks.task import Task
from stepnav.view.shown import ShownTree


@dataclass(frozen=True, slots=True)
class Solution:
    """What came of a question.

    Attributes:
      answer: the final answer; None if the search found none.
      text: the solution that was chosen; None if there is none.
      tree: shows itself (`tree.show()`; in a notebook as its page).
      result: everything that the search did.
    """

    answer: str | None
    text: str | None
    tree: ShownTree
    result: SearchResult

    @property
    def usage(self) -> Usage:
        """All that was charged."""
        return self.result.usage

    @property
    def stop_reason(self) -> str:
        """Why the search stopped."""
        return self.result.outcome.stop_reason

    def _repr_html_(self) -> str:
        return self.tree._repr_html_()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened while a question was being solved.

    Attributes:
      node: a step that was added or marked; None in the last event.
      solution: what came of it; None in all but the last event.
    """

    node: Node | None = None
    solution: Solution | None = None


def solve(
    question: str,
    *,
    strategy: str | Strategy = "hgs",
    policy: Any = None,
    reward: Any = None,
    task: str | Task | None = None,
    budget: int | Budget | None = None,
    seed: int = 0,
    on_change: Callable[[Node], None] | None = None,
    **options: Any,
) -> Solution:
    """Return what a search makes of a question.

    Args:
      question: the problem's text.
      strategy: a name as on the command line, or a strategy, for instance
        `stepnav.hgs(branching=16)`.
      policy, reward: a shipped model's name, a folder, a server's URL, a function, or an open
        backend, which stays open; None takes the task's own.
      task: gives prompts and reads answers; None is the one for typed questions.
      budget: policy tokens, or a `Budget`; None is no limit.
      seed: same seed, same tree.
      on_change: called with each node that is added or marked.
      options: of the models, as `build.open_models` takes them (`policy_model`, `device`, `dtype`,
        ...).
    Raises:
      ConfigError: something named cannot be used.
      BackendError: a model did not answer.
    """
    for solution in _steps(
        question, strategy=strategy, policy=policy, reward=reward, task=task, budget=budget,
        seed=seed, on_change=on_change, **options,
    ):  # fmt: skip
        if solution is not None:
            return solution
    raise AssertionError("a search ends with its solution")


async def asolve(question: str, **arguments: Any) -> Solution:
    """Return what a search makes of a question, as `solve`, without blocking the event loop.

    Cancelling it leaves the search: nothing more is asked.
    """
    is_left = threading.Event()

    def run() -> Solution | None:
        steps = _steps(question, **arguments)
        for solution in steps:
            if solution is not None or is_left.is_set():
                steps.close()
                return solution
        return None

    try:
        solution = await asyncio.to_thread(run)
    except asyncio.CancelledError:
        is_left.set()
        raise
    assert solution is not None, "only a cancelled search has no solution"
    return solution


def stream(question: str, **arguments: Any) -> Iterator[Event]:
    """Yield what happens while a question is solved, and last its solution; else as `solve`.

    Leaving the loop early leaves the search: nothing more is asked. A node is the tree's own and
    goes on changing; what it is when it is yielded is what it was after the driver's last step.
    """
    own = arguments.pop("on_change", None)
    events: list[Event] = []

    def follow(node: Node) -> None:
        events.append(Event(node))
        if own is not None:
            own(node)

    for solution in _steps(question, **arguments, on_change=follow):
        yield from events
        events.clear()
        if solution is not None:
            yield Event(solution=solution)


def _steps(
    question: str,
    *,
    strategy: Any = "hgs",
    policy: Any = None,
    reward: Any = None,
    task: Any = None,
    budget: Any = None,
    seed: int = 0,
    on_change: Any = None,
    **options: Any,
) -> Generator[Solution | None, None, None]:
    """Yield None after each of the driver's steps, and last the solution; arguments as of `solve`.

    Closing it leaves the search, and closes the models that were opened here.
    """
    chosen, found = _strategy(strategy), _given_task(task)
    opened = build.open_any(
        policy=policy, reward=reward, task=found, strategies=[chosen], **options
    )
    with opened as models:
        driver = Driver(models.by_name)
        driver.add(_search(question, chosen, found, budget, seed, on_change))
        try:
            while not (results := driver.step()):
                yield None
        finally:
            driver.close()
    yield _solution(results[0])


def bench(
    problems: Any,
    strategies: Sequence[str | Strategy],
    *,
    policy: Any = None,
    reward: Any = None,
    budgets: Sequence[int | None] = (None,),
    count: int | None = None,
    split: str | None = None,
    seeds: int = 1,
    seed: int = 0,
    baseline: str | None = None,
    out: str | Path | None = None,
    max_active: int = 64,
    **options: Any,
) -> Results:
    """Return a comparison of strategies on the same problems, at the same budgets.

    Args:
      problems: a task or its name, a file of rows, or rows (a list of dicts, a `datasets.Dataset`)
        with `question` and `answer`.
      strategies: names as on the command line, or strategies.
      policy, reward: as of `solve`.
      budgets: policy tokens per search; None is no limit.
      count: how many problems; None is all (300 of a task that draws its own).
      split: the task's split; None is its default.
      seeds: searches per problem.
      seed: of the first.
      baseline: label to compare with; None is "cot" if it is there.
      out: folder that keeps the journal, for `resume`; None keeps nothing.
      max_active: searches that run at once.
      options: of the models, as of `solve`.
    Raises:
      ConfigError: something named cannot be used.
      BackendError: a model cannot be reached.
    """
    from stepnav.measure.plan import BenchPlan
    from stepnav.measure.plan_file import (
        FILE_NAME,
        check_same,
        plan_digest,
        problems_digest,
        read_plan,
        write_plan,
    )
    from stepnav.measure.runner import read_rows, run_plan, wall_seconds
    from stepnav.measure.summary import summarise
    from stepnav.run.journal import Journal

    if not budgets:
        raise ConfigError("budgets must not be empty; (None,) is no limit")
    task = _task(problems)
    used = split or task.default_split
    drawn = task.load(used, count, seed, None)
    chosen = [_strategy(item) for item in strategies]
    temperature = task.temperature
    plan = BenchPlan(
        task=task.name,
        split=used,
        strategies=tuple(item.for_plan(budgets, temperature=temperature) for item in chosen),
        problems=len(drawn),
        seeds=seeds,
        seed=seed,
        budgets=tuple(budgets),
        policy=_model_name(policy),
        reward=None if reward is None else _model_name(reward),
        baseline=baseline,
        settings={"data_digest": problems_digest(drawn)},
    )
    opened = build.open_any(policy=policy, reward=reward, task=task, strategies=chosen, **options)
    with tempfile.TemporaryDirectory() as own, opened as models:
        folder = Path(own if out is None else out)
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / FILE_NAME).exists():
            check_same(read_plan(folder), plan, str(folder))
        write_plan(plan, folder)
        journal = Journal(folder / "journal.sqlite", plan_digest(plan))
        try:
            run_plan(
                plan, drawn, extractor=task.extractor, grade=task.grade, models=models.by_name,
                journal=journal, max_active=max_active,
            )  # fmt: skip
            rows = read_rows(plan, journal, grade=task.grade)
            results = {result.search_id: result for result in journal.results()}
            wall_s = wall_seconds(journal)
        finally:
            journal.close()
    trees = [ShownTree(results[row.search_id], row.correct) for row in rows]
    return Results(rows, trees, summarise(rows, baseline=plan.baseline_label, wall_s=wall_s))


def _strategy(strategy: str | Strategy) -> Strategy:
    if isinstance(strategy, str):
        return build.parse_strategy(strategy)
    return build.as_strategy(getattr(strategy, "__name__", "given"), strategy)


def _task(problems: Any) -> Task:
    if isinstance(problems, Task):
        return problems
    if isinstance(problems, str) and not Path(problems).is_file():
        return build.load_task(problems)
    from stepnav.tasks.own import own_task

    return own_task(Path(problems) if isinstance(problems, (str, Path)) else problems)


def _model_name(model: Any) -> str:
    """Return what tells a model from another one in a run's plan."""
    if model is None or isinstance(model, (str, Path)):
        return "" if model is None else str(model)
    return str(getattr(model, "__qualname__", type(model).__qualname__))


def _given_task(task: str | Task | None) -> Task:
    if isinstance(task, Task):
        return task
    return build.load_task(build.TYPED_TASK if task is None else task)


def _search(
    question: str,
    strategy: Strategy,
    task: Task,
    budget: int | Budget | None,
    seed: int,
    on_change: Callable[[Node], None] | None,
) -> Search:
    if not question.strip():
        raise ConfigError("the question is empty; give its text")
    limits = budget if isinstance(budget, Budget) else Budget(policy_tokens=budget)
    problem = task.ask(question) if task.ask else Problem("given", " ".join(question.split()))
    return Search(
        id="given",
        strategy=strategy.for_budget(limits.policy_tokens, temperature=task.temperature),
        problem=problem,
        extract=task.extractor(problem),
        budget=limits,
        seed=seed,
        on_change=on_change,
    )


def _solution(result: SearchResult) -> Solution:
    if result.error is not None:
        raise BackendError(result.error)
    trajectory = result.outcome.trajectory
    text = None if trajectory is None else trajectory.text
    return Solution(result.answer, text, ShownTree(result), result)
