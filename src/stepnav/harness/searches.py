"""Searches for a harness that asks for many at once and waits for each without blocking."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import Any

from stepnav import build
from stepnav.core.budget import Budget
from stepnav.core.codec import encode_tree
from stepnav.core.errors import BackendError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.strategy import Strategy
from stepnav.run.search import Search
from stepnav.serve.engine import Engine
from stepnav.tasks.task import Task


class Searches:
    """A task, a strategy and open models.

    Args:
      strategy: as on the command line.
      task: gives prompts and reads answers.
      policy, reward: as of `stepnav.solve`; None takes what ships for the task.
      active: searches that run at once.
      options: of the models.
    Raises:
      ConfigError: something named cannot be used.
      BackendError: a model's server does not answer.
    """

    def __init__(
        self,
        strategy: str,
        task: Task,
        *,
        policy: Any = None,
        reward: Any = None,
        active: int = 64,
        **options: Any,
    ) -> None:
        self.strategy = build.parse_strategy(strategy)
        self.task = task
        self._models = build.open_any(
            policy=policy, reward=reward, task=task, strategies=[self.strategy], **options
        )
        self._engine = Engine(self._models.by_name, active=active)

    def problem(self, question: str, problem_id: str | None = None) -> Problem:
        """Return a question as a problem of the task; its seeds come from its id too.

        Raises:
          ConfigError: it is no question of the task's.
        """
        asked = self.task.ask(question) if self.task.ask else Problem("given", question)
        return asked if problem_id is None else Problem(problem_id, asked.question, asked.answer)

    async def run(
        self,
        problem: Problem,
        *,
        seed: int = 0,
        budget: int | None = None,
        strategy: Strategy | None = None,
    ) -> SearchResult:
        """Return what a search makes of a problem; cancelling it leaves the search.

        Args:
          problem: what to solve.
          seed: same seed and problem, same tree as in a bench.
          budget: policy tokens, None for no limit.
          strategy: another one than usual, over the same models.
        Raises:
          BackendError: a model did not answer.
        """
        chosen = strategy or self.strategy
        search = Search(
            id=uuid.uuid4().hex,
            strategy=chosen.for_budget(budget, temperature=self.task.temperature),
            problem=problem,
            extract=self.task.extractor(problem),
            budget=Budget(policy_tokens=budget),
            seed=seed,
        )
        loop = asyncio.get_running_loop()
        found: asyncio.Future[SearchResult | Exception] = loop.create_future()

        def take(outcome: SearchResult | Exception) -> None:
            if not found.done():  # it may have been cancelled
                found.set_result(outcome)

        def hand(outcome: SearchResult | Exception) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(take, outcome)

        self._engine.add(search, hand)
        try:
            outcome = await found
        finally:
            self._engine.cancel(search.id)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.error is not None:
            raise BackendError(outcome.error)
        return outcome

    def close(self) -> None:
        """Leave all searches and close the models."""
        self._engine.close()
        self._models.__exit__()


def record_of(result: SearchResult) -> dict[str, Any]:
    """Return a search for a harness's log: answer, cost and the whole tree, as JSON values."""
    used = result.usage
    return {
        "strategy": result.strategy,
        "options": dict(result.options),
        "seed": result.seed,
        "problem_id": result.problem_id,
        "answer": result.answer,
        "stop_reason": result.outcome.stop_reason,
        "counts": dict(result.outcome.counts),
        "usage": {
            "policy_tokens": used.policy_tokens,
            "policy_prompt_tokens": used.policy_prompt_tokens,
            "policy_cached_tokens": used.policy_cached_tokens,
            "policy_calls": used.policy_calls,
            "reward_tokens": used.reward_tokens,
            "reward_calls": used.reward_calls,
            "flops": None if used.flops is None else float(used.flops),
            "seconds": used.seconds,
        },
        "tree": encode_tree(result.tree),
    }


def text_of(result: SearchResult) -> str:
    """Return the chosen solution's text; empty if there is none."""
    chosen = result.outcome.trajectory
    return "" if chosen is None else chosen.text.strip()
