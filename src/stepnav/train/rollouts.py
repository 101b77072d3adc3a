"""Step labels without people: how often a policy still reaches the right answer from a prefix.

`label_each` completes every prefix of a solution (Math-Shepherd: Wang et al. 2023, section 3.2); `label_by_bisection` looks
for the first wrong step by binary search (OmegaPRM: Luo et al. 2024, section 3.2; theirs also grows a tree of rollouts,
ours searches each solution on its own). Both are programs for the driver, so that batching, the journal, resuming and the
account of cost are those of searches.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal

from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Trajectory
from stepnav.core.requests import BudgetSpent, Complete, Program, Request, complete
from stepnav.core.tree import Tree
from stepnav.train.records import StepRecord

Method = Literal["each", "bisection"]
Labels = Literal["hard", "soft"]

IsRight = Callable[[Trajectory], bool]
"""Whether a finished solution's answer is right."""


def label_each(tree: Tree, *, is_right: IsRight, samples: int, temperature: float) -> Program:
    """Draw one solution and complete each of its prefixes; the last step is judged by the answer itself.

    Args:
      tree: holds the problem.
      is_right: judges a solution.
      samples: completions per prefix.
      temperature: of the solution and its completions.
    """
    solution = yield from _draw(tree, temperature)
    if solution is None:
        return Outcome(None, "budget")
    steps = len(solution.steps)
    prefixes = [Trajectory(solution.problem, solution.steps[:n]) for n in range(1, steps)]
    try:
        answers = (
            (yield [Complete(prefix, samples, temperature) for prefix in prefixes])
            if prefixes
            else []
        )
    except BudgetSpent:
        return Outcome(solution, "budget")
    hits = {n: sum(map(is_right, drawn)) for n, drawn in enumerate(answers)}
    counts = _counts({**hits, steps - 1: int(is_right(solution))}, samples, steps)
    return Outcome(solution, "finished", counts=counts)


def label_by_bisection(
    tree: Tree, *, is_right: IsRight, samples: int, temperature: float
) -> Program:
    """Draw one solution and, if its answer is wrong, find its first wrong step by binary search.

    A step is wrong if no completion from behind it is right; steps before one that is not wrong are
    taken for right. All steps of a right solution are right.

    Args:
      tree, is_right, samples, temperature: as in `label_each`.
    """
    solution = yield from _draw(tree, temperature)
    if solution is None:
        return Outcome(None, "budget")
    steps = len(solution.steps)
    if is_right(solution):
        return Outcome(
            solution, "finished", counts=_counts(dict.fromkeys(range(steps), 1), 1, steps)
        )
    right, wrong = 0, steps  # so many steps are right; behind so many none is reached any more
    hits = {steps - 1: 0}
    while wrong - right > 1:
        middle = (right + wrong) // 2
        try:
            drawn = yield from complete(
                Trajectory(solution.problem, solution.steps[:middle]),
                samples,
                temperature=temperature,
            )
        except BudgetSpent:
            return Outcome(solution, "budget")
        hits[middle - 1] = sum(map(is_right, drawn))
        right, wrong = (middle, wrong) if hits[middle - 1] else (right, middle)
    return Outcome(
        solution,
        "finished",
        counts={**_counts(hits, samples, steps), "first_error": right},
    )


METHODS: Mapping[Method, Callable[..., Program]] = {
    "each": label_each,
    "bisection": label_by_bisection,
}


def rollout_record(result: SearchResult, *, labels: Labels) -> StepRecord | None:
    """Return what a finished search says about its solution; None if it was cut short.

    Args:
      result: of one of the two programs.
      labels: "hard": 1 if any completion is right, else -1; "soft": the share that is. After a binary
        search there are hard labels only, none behind the first wrong step.
    """
    counts, solution = result.outcome.counts, result.outcome.trajectory
    if result.outcome.stop_reason != "finished" or solution is None:
        return None
    found: list[int | float | None] = []
    for number in range(len(solution.steps)):
        hits, drawn = counts.get(f"hits {number}"), counts.get(f"drawn {number}")
        first = counts.get("first_error")
        if first is not None:
            found.append(1 if number < first else -1 if number == first else None)
        elif hits is None or not drawn:
            found.append(None)
        else:
            found.append(hits / drawn if labels == "soft" else (1 if hits else -1))
    return StepRecord(
        solution.problem.question,
        tuple(step.text for step in solution.steps),
        tuple(found),
        origin=result.search_id,
    )


def _draw(
    tree: Tree, temperature: float
) -> Generator[Sequence[Request], list[Any], Trajectory | None]:
    """Return one finished solution with at least one step; None if there is none within the budget."""
    try:
        (solution,) = yield from complete(Trajectory(tree.problem), temperature=temperature)
    except BudgetSpent:
        return None
    return solution if solution.is_finished else None


def _counts(hits: Mapping[int, int], samples: int, steps: int) -> dict[str, int]:
    """Return hits and completions by step; the whole solution is its own only completion."""
    counts: dict[str, int] = {}
    for number, count in sorted(hits.items()):
        counts[f"hits {number}"] = count
        counts[f"drawn {number}"] = 1 if number == steps - 1 else samples
    return counts
