"""`stepnav bench --dry-run`: what a run would come to, found by running it against scripted models.

The searches are the real ones; the policy writes steps of so many words as a `Shape` says, and the
reward model keeps seven of ten. So the estimate holds for any strategy, one of the user's own
included, as far as real solutions are about as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from zlib import crc32

from stepnav.cli.console import print_json, say
from stepnav.core.budget import Budget
from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem, Step, StepScore, Trajectory
from stepnav.core.requests import POLICY, REWARD
from stepnav.core.strategy import Strategy
from stepnav.measure.plan import BenchPlan
from stepnav.measure.stats.power import smallest_difference
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.driver import Driver
from stepnav.run.search import Search


@dataclass(frozen=True, slots=True)
class Shape:
    """What solutions are like.

    Attributes:
      steps: of a solution, at least 1.
      tokens: of a step, at least 1.
    """

    steps: int = 8
    tokens: int = 25


USUAL = Shape()

NUM_TRIED = 5
"""So many problems are tried; the mean is taken for all."""

STEP_LOGPROB = -1.0
"""Log-probability of each step, for strategies that ask for it."""

DISAGREEMENTS = (0.1, 0.2)
"""Shares of the problems that two strategies decide differently, for which power is told."""

COLUMNS = ("strategy", "budget", "searches", "requests", "policy tokens", "reward tokens")


def tell_dry_run(
    plan: BenchPlan,
    problems: Sequence[Problem],
    extract: Callable[[str], str | None],
    *,
    num_done: int,
    as_json: bool,
) -> None:
    """Print the searches of a plan, what they may ask and generate, and which models they need.

    Args:
      plan: the comparison.
      problems: the plan's.
      extract: finds the final answer in a solution's text.
      num_done: searches that the run folder holds already.
      as_json: whether to print JSON.
    """
    count = len(problems) * plan.seeds  # of one strategy and budget
    rows: list[dict[str, Any]] = [
        {
            "strategy": strategy.label,
            "budget": budget,
            "searches": count,
            **estimate(strategy, budget, problems, extract, seed=plan.seed, searches=count),
        }
        for budget in plan.budgets
        for strategy in plan.strategies
    ]
    searches = sum(row["searches"] for row in rows)
    models = {"policy": plan.policy, "reward": plan.reward}
    whole = plan.problems or len(problems)  # also of a shard
    shown: dict[float, float | None] = {}
    with suppress(ConfigError):  # without the extra `bench` the rest is told all the same
        shown = {share: smallest_difference(whole, share) for share in DISAGREEMENTS}
    if as_json:
        assumed = {"steps": USUAL.steps, "step_tokens": USUAL.tokens}
        head = {"searches": searches, "done": num_done, **models, "assumed": assumed}
        power = [{"disagreement": k, "smallest_difference": v} for k, v in shown.items()]
        print_json({**head, "power": power, "rows": rows})
        return
    lines = [COLUMNS, *(tuple(map(_cell, row.values())) for row in rows)]
    totals = (f"{sum(row[name] for row in rows):,}" for name in list(rows[0])[2:])
    lines.append(("all", "", *totals))
    widths = [max(map(len, column)) for column in zip(*lines)]
    for name, *cells in lines:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:]))
        say("  ".join((name.ljust(widths[0]), *numbers)))
    say(
        f"\n{searches:,} searches of {len(problems):,} problems ({plan.task}/{plan.split}), "
        f"{num_done:,} of them done. Would be loaded: policy {plan.policy}, "
        f"reward {plan.reward or 'none'}.\nAn estimate, as if a solution had {USUAL.steps} steps "
        f"of {USUAL.tokens} tokens; nothing was loaded and nothing was asked.\n"
        f"{_power_text(whole, shown)}"
    )


def _power_text(problems: int, shown: Mapping[float, float | None]) -> str:
    """Return what differences of accuracy so many problems show; nothing if it is not known."""
    if not shown:
        return ""
    parts = [
        (f"{100 * difference:.1f} points" if difference is not None else "none")
        + f" if they decide {share:.0%} of the problems differently"
        for share, difference in shown.items()
    ]
    return (
        f"Smallest difference of two strategies that {problems:,} problems show in four runs of "
        f"five (p < .05, one seed): {', '.join(parts)}."
    )


def _cell(value: str | int | None) -> str:
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else value


def estimate(
    strategy: Strategy,
    budget: int | None,
    problems: Sequence[Problem],
    extract: Callable[[str], str | None],
    *,
    seed: int,
    searches: int,
    shape: Shape = USUAL,
) -> dict[str, int]:
    """Return the requests and tokens that so many searches of one strategy may come to.

    Args:
      strategy, budget: what is run.
      problems: the first of them are tried.
      extract: finds the final answer in a solution's text.
      seed: of the trials.
      searches: for how many the trials' mean stands.
      shape: of solutions.
    Raises:
      ConfigError: the strategy fails.
    """
    policy = ScriptedPolicy(partial(_next_step, shape))
    driver = Driver({POLICY: policy, REWARD: ScriptedReward(_rate)})
    tried = [
        Search(
            id=problem.id,
            strategy=strategy.for_budget(budget),
            problem=problem,
            extract=extract,
            budget=Budget(policy_tokens=budget),
            seed=seed,
        )
        for problem in problems[:NUM_TRIED]
    ]
    results = list(driver.run(tried))
    for result in results:
        if result.error is not None:
            raise ConfigError(f"{strategy.label} fails on scripted models: {result.error}")
    sums = {
        "requests": sum(result.requests for result in results),
        "policy_tokens": sum(result.usage.policy_tokens for result in results),
        "reward_tokens": sum(result.usage.reward_tokens for result in results),
    }
    return {name: round(total / len(results) * searches) for name, total in sums.items()}


def _next_step(shape: Shape, prefix: Trajectory, seed: int, temperature: float) -> Step:
    is_end = len(prefix.steps) + 1 >= shape.steps
    words = " ".join(["word"] * (shape.tokens - 2 + (not is_end)))
    text = f"{words} #### {seed % 4}" if is_end else f"{seed} {words}\n"
    return Step(text, "end" if is_end else "step", shape.tokens, logprob=STEP_LOGPROB)


def _rate(trajectory: Trajectory) -> StepScore:
    chance = crc32(trajectory.text.encode()) % 20
    return StepScore.from_rating(1 if chance < 14 else 0 if chance < 17 else -1)
