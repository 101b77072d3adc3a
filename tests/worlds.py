"""Small scripted worlds in which searches can be tested without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stepnav.build import strategy as find_strategy
from stepnav.core.budget import Budget
from stepnav.core.codec import encode_result
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem, StepScore, Trajectory
from stepnav.core.seeds import derive_seed
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.search import Search


def extract(text: str) -> str | None:
    """Return what follows the last ####."""
    _, mark, answer = text.rpartition("####")
    return answer.strip() or None if mark else None


def random_world(
    seed: int, *, branching: int = 4, depth: int = 4
) -> tuple[ScriptedPolicy, ScriptedReward]:
    """Return a policy and a reward model that behave like a random tree.

    Each prefix has up to `branching` next steps; solutions end at `depth` steps at the latest.
    """

    def next_step(prefix: Trajectory, draw: int, temperature: float) -> str:
        place = derive_seed(seed, prefix.text)
        choice = 0 if temperature == 0 else derive_seed(draw) % (1 + place % branching)
        ends = len(prefix.steps) + 1 >= depth or derive_seed(place, choice) % 5 == 0
        words = " ".join(["w"] * (derive_seed(place, choice, "words") % 4))
        return f"#### {choice}" if ends else f"{choice} {words}\n"

    def rate(trajectory: Trajectory) -> StepScore:
        weights = [1 + derive_seed(seed, trajectory.text, name) % 97 for name in "abc"]
        total = sum(weights)
        return StepScore(*(weight / total for weight in weights))

    return ScriptedPolicy(next_step), ScriptedReward(rate)


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


def comparable(result: SearchResult) -> dict[str, Any]:
    """Return a result as JSON values without its clock time."""
    value = encode_result(result)
    value["usage"]["seconds"] = 0.0
    return value
