"""Small scripted worlds in which searches can be tested without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepnav.build import strategy as find_strategy
from stepnav.core.budget import Budget
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem, StepScore
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.search import Search
from stepnav.testing import extract

WITH_REPLACEMENT = {"replace": True, "first_greedy": False}
"""Options of step searches that draw each step independently, as their papers have it."""


def make_search(
    strategy: str,
    options: Mapping[str, Any] | None = None,
    *,
    name: str = "s",
    problem: str = "p",
    budget: Budget | None = None,
    seed: int = 0,
) -> Search:
    """Return a search over a scripted world."""
    budget = budget or Budget()
    chosen = find_strategy(strategy)(**(options or {}))
    return Search(
        id=name,
        strategy=chosen.for_budget(budget.policy_tokens),
        problem=Problem(problem, "What now?"),
        extract=extract,
        budget=budget,
        seed=seed,
    )


def run_one(
    policy: ScriptedPolicy,
    reward: ScriptedReward,
    search: Search,
    journal: Journal | None = None,
    wrap: Callable[[Any], Any] = lambda backend: backend,
) -> SearchResult:
    """Run one search to its end."""
    models = {"policy": wrap(policy), "reward": wrap(reward)}
    (result,) = Driver(models, journal=journal).run([search])
    return result


def p(value: float) -> StepScore:
    """Return the score of a binary reward model."""
    return StepScore(1 - value, 0.0, value)


def search_table(
    strategy: str,
    table: Mapping[str, Sequence[str]],
    ratings: Mapping[str, StepScore],
    budget: Budget | None = None,
    seed: int = 0,
    **options: Any,
) -> SearchResult:
    """Run one search over a table of steps and one of scores."""
    policy, reward = ScriptedPolicy.from_table(table), ScriptedReward.from_table(ratings)
    return run_one(policy, reward, make_search(strategy, options, budget=budget, seed=seed))


def drawn(result: SearchResult) -> dict[str, int]:
    """Return text of a prefix -> how many steps were drawn from it."""
    nodes = result.tree.nodes
    return {
        node.trajectory.text: sum(1 + nodes[child].duplicates for child in node.children)
        for node in nodes
        if node.children
    }
