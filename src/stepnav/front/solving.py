"""Solve a question, at once, without blocking, or watching it being solved."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

from stepnav import build
from stepnav.core.budget import Budget, Usage
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.requests import Program
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Node
from stepnav.run.driver import Driver
from stepnav.run.search import Search
from stepnav.tasks.checked import checked
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
    strategy: str | Strategy | Callable[..., Program] = "hgs",
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
      strategy: a name as on the command line, a strategy, for instance
        `stepnav.hgs(branching=16)`, or a generator function.
      policy, reward: a shipped model's name, a folder, a server's URL, a function, or an open
        backend, which stays open and may serve several searches at once; None takes the task's own.
      task: gives prompts and reads answers; None is the one for typed questions.
      budget: policy tokens, or a `Budget`; None is no limit.
      seed: same seed, same tree.
      on_change: called with each node that is added or marked; what it raises ends the search.
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

    Raises:
      ConfigError: the event loop is not asyncio's; and as `solve`.
      BackendError: as `solve`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigError(
            "asolve needs a running event loop of asyncio; with another library call solve in a "
            "thread, in trio by trio.to_thread.run_sync"
        ) from None
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
    _check_question(question)
    seed = whole("seed", seed)
    found = _given_task(task)
    [chosen] = build.with_measured([given_strategy(strategy)], reward, found)
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


def whole(name: str, value: Any) -> int:
    """Return a whole number, given as one of any kind.

    Raises:
      ConfigError: it is none.
    """
    number: Any = value  # numpy's are of this kind too
    if isinstance(value, bool) or not isinstance(value, Real) or number % 1 != 0:
        raise ConfigError(f"{name} must be a whole number (got {value!r:.80})")
    return int(number)


def _check_question(question: Any) -> None:
    """Refuse what is no question.

    Raises:
      ConfigError: it is no text, or one that nothing could read.
    """
    if not isinstance(question, str):
        raise ConfigError(f"the question must be text (got {question!r:.80})")
    if not question.strip():
        raise ConfigError("the question is empty; give its text")
    try:
        question.encode()
    except UnicodeEncodeError:
        raise ConfigError("the question holds half of a surrogate pair; leave it out") from None


def given_strategy(strategy: str | Strategy | Callable[..., Program]) -> Strategy:
    """Return the strategy that a name, a function or a strategy is."""
    if isinstance(strategy, str):
        return build.parse_strategy(strategy)
    return build.as_strategy(getattr(strategy, "__name__", "given"), strategy)


def _given_task(task: str | Task | None) -> Task:
    if isinstance(task, Task):
        return checked(task, task.name)
    return build.load_task(build.TYPED_TASK if task is None else task)


def _search(
    question: str,
    strategy: Strategy,
    task: Task,
    budget: int | Budget | None,
    seed: int,
    on_change: Callable[[Node], None] | None,
) -> Search:
    if not isinstance(budget, Budget):
        budget = Budget(policy_tokens=None if budget is None else whole("budget", budget))
    problem = task.ask(question) if task.ask else Problem("given", " ".join(question.split()))
    return Search(
        id="given",
        strategy=strategy.for_budget(budget.policy_tokens, temperature=task.temperature),
        problem=problem,
        extract=task.extractor(problem),
        budget=budget,
        seed=seed,
        on_change=on_change,
    )


def _solution(result: SearchResult) -> Solution:
    if result.error is not None:
        raise BackendError(result.error)
    trajectory = result.outcome.trajectory
    text = None if trajectory is None else trajectory.text
    return Solution(result.answer, text, ShownTree(result), result)
