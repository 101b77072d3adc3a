"""Finding the best settings of a strategy: successive halving over problems.

Every rival is tried on the first rung's problems; the best third, but at least two, goes on to the
next rung, which has the same problems and more; the last rung decides. Source: Jamieson and
Talwalkar 2016, arXiv 1502.07943, with problems as the resource. Differs in: a third instead of a
half goes on, as in Hyperband (Li et al. 2018), and the first setting, which are the defaults in our
grid, always does. It stays unless the best is ahead of it by more than one standard error (the rule
of Breiman et al. 1984, section 3.4.3, for pruned trees): the best of many settings on few problems
is more often the luckiest than better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise

from stepnav.core.errors import ConfigError
from stepnav.measure.plan import BenchPlan, Cell
from stepnav.measure.rows import ResultRow
from stepnav.measure.stats.intervals import accuracy
from stepnav.measure.summary import Group, group_grades

KEPT_SHARE = 3
"""One in so many rivals goes on."""

MIN_KEPT = 2


@dataclass(frozen=True, slots=True)
class Best:
    """The settings of one strategy that did best under one budget.

    Attributes:
      strategy: as it is named on the command line, without options.
      budget: limit on the policy tokens of one search.
      setting: strategy and options as on the command line.
      tried: how many settings there were.
      problems: on how many it was measured: that could be graded, none where there was no rival.
      accuracy, low, high: share of right answers there and its 95% interval, which do not know that
        it was chosen for them; None where nothing was measured.
      policy_tokens, reward_tokens: mean per search.
    """

    strategy: str
    budget: int
    setting: str
    tried: int
    problems: int = 0
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    policy_tokens: float | None = None
    reward_tokens: float | None = None


def parse_rungs(text: str) -> tuple[int, ...]:
    """Return the numbers of problems of the rungs.

    Raises:
      ConfigError: they are not whole numbers that rise.
    """
    try:
        rungs = tuple(int(part) for part in text.split(","))
    except ValueError:
        rungs = ()
    if not rungs or rungs[0] < 1 or any(a >= b for a, b in pairwise(rungs)):
        raise ConfigError(
            f"--rungs must be rising numbers of problems, as in 40,80,160 (got {text!r})"
        )
    return rungs


def num_kept(rivals: int) -> int:
    """Return how many of a rung's rivals go on."""
    return min(rivals, max(MIN_KEPT, math.ceil(rivals / KEPT_SHARE)))


def num_searches(rivals: int, rungs: Sequence[int]) -> int:
    """Return how many searches it takes to find the best of so many settings at one budget.

    Example:
      >>> num_searches(8, (40, 80, 160))  # 8 x 40, then 3 x 40, then 2 x 80 more
      600
    """
    total = before = 0
    for problems in rungs:
        if rivals > 1:
            total += rivals * (problems - before)
        before = problems
        rivals = num_kept(rivals)
    return total


def rank(rows: Iterable[ResultRow], rivals: Sequence[str], budget: int) -> list[str]:
    """Return the labels of rivals, the best first.

    More right answers go first, then fewer policy tokens in all, then the order given. An answer
    that could not be graded is not right.
    """
    right = dict.fromkeys(rivals, 0)
    tokens = dict.fromkeys(rivals, 0)
    for row in rows:
        if row.budget == budget and row.label in right:
            right[row.label] += row.correct is True
            tokens[row.label] += row.policy_tokens
    return sorted(rivals, key=lambda label: (-right[label], tokens[label]))


def go_on(rows: Sequence[ResultRow], rivals: Sequence[str], budget: int, kept: int) -> list[str]:
    """Return the first of some rivals, and as many of the others, best first, as make `kept`."""
    first, *others = rivals
    return [first, *rank(rows, others, budget)[: kept - 1]]


def winner(rows: Sequence[ResultRow], rivals: Sequence[str], budget: int) -> str:
    """Return the best of some rivals if it is better than the first for all that is known.

    It is if it is right where the first is not on more problems than the other way round, by more
    than one standard error of that difference if there were none (McNemar's, the root of both
    numbers' sum).
    """
    first, best = rivals[0], rank(rows, rivals, budget)[0]
    right = {
        label: {row.problem_id for row in rows if row.group == (label, budget) and row.correct}
        for label in (first, best)
    }
    won, lost = len(right[best] - right[first]), len(right[first] - right[best])
    return best if won - lost > math.sqrt(won + lost) else first


def find_best(
    plan: BenchPlan,
    settings: Mapping[str, str],
    problem_ids: Sequence[str],
    rungs: Sequence[int],
    *,
    run: Callable[[Callable[[Cell], bool]], None],
    rows: Callable[[], list[ResultRow]],
) -> list[Best]:
    """Return the best settings of each strategy of a plan for each budget.

    The rungs follow from the rows alone, so that going on after a kill comes to the same end.

    Args:
      plan: all that may be run; one strategy with several options is several of its strategies.
      settings: label -> strategy and options as on the command line.
      problem_ids: ids of the plan's problems, in the task's order.
      rungs: numbers of problems, rising.
      run: runs those cells of the plan that are wanted and not done.
      rows: returns what was run so far.
    """
    labels: dict[str, list[str]] = {}
    for strategy in plan.strategies:
        labels.setdefault(strategy.name, []).append(strategy.label)
    limits = [budget for budget in plan.budgets if budget is not None]
    left = {(name, budget): rivals for budget in limits for name, rivals in labels.items()}
    found: list[ResultRow] = []
    for before, count in zip((0, *rungs), rungs):
        groups = {(x, b) for (_, b), rivals in left.items() if len(rivals) > 1 for x in rivals}
        run(_among(groups, set(problem_ids[before:count])))  # those before were run for the last
        found = [row for row in rows() if row.problem_id in problem_ids[:count]]
        for (name, budget), rivals in left.items():
            if count < rungs[-1]:
                left[name, budget] = go_on(found, rivals, budget, num_kept(len(rivals)))
    best = {group: winner(found, rivals, group[1]) for group, rivals in left.items()}
    return [
        _measured(Best(name, budget, settings[label], len(labels[name])), found, (label, budget))
        for (name, budget), label in best.items()
    ]


def _among(groups: Set[Group], problem_ids: Set[str]) -> Callable[[Cell], bool]:
    def is_wanted(cell: Cell) -> bool:
        return (cell.strategy.label, cell.budget) in groups and cell.problem_id in problem_ids

    return is_wanted


def _measured(best: Best, rows: Iterable[ResultRow], group: Group) -> Best:
    """Return the winner with the figures of its searches."""
    own = [row for row in rows if row.group == group]
    if not own:
        return best
    found = accuracy(group_grades(own, 1))
    ends = found.interval
    return replace(
        best,
        problems=found.total,
        accuracy=found.value,
        low=None if ends is None else ends.low,
        high=None if ends is None else ends.high,
        policy_tokens=math.fsum(row.policy_tokens for row in own) / len(own),
        reward_tokens=math.fsum(row.reward_tokens for row in own) / len(own),
    )
