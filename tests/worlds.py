"""Small scripted worlds in which searches can be tested without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stepnav.build import strategy as find_strategy
from stepnav.core.budget import Budget
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.search import Search
from stepnav.testing import extract


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
