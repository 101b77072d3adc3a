"""Drawing whole solutions and finishing begun ones: what several strategies share."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.core.aggregate import Aggregation, aggregate
from stepnav.core.outcome import StopReason
from stepnav.core.records import Trajectory
from stepnav.core.requests import BudgetSpent, Request, complete, score_all
from stepnav.core.tree import Node, Tree

MAX_SAMPLES = 4096
"""Where a search draws until its budget is spent, it still ends after so many."""


@dataclass(slots=True)
class Samples:
    """What was drawn.

    Attributes:
      trajectories: in the order of drawing; those cut at a limit are left out.
      scores: one aggregated score per trajectory; empty if scoring was not asked for.
      num_cut: how many were left out because a limit cut them.
      stop_reason: "finished", or "budget" if fewer were drawn than asked for.
    """

    trajectories: list[Trajectory]
    scores: list[float]
    num_cut: int = 0
    stop_reason: StopReason = "finished"


def draw_samples(
    tree: Tree,
    *,
    samples: int | None,
    wave: int | None,
    temperature: float,
    top_p: float,
    max_tokens: int | None,
    aggregation: Aggregation | None,
) -> Generator[Sequence[Request], list[Any], Samples]:
    """Return solutions drawn from the root, scored if `aggregation` is given.

    Args:
      tree: is given every drawn solution.
      samples: how many to draw; None draws until the budget is spent.
      wave: how many to ask for at once; None asks for all, or one by one if `samples` is None.
      temperature, top_p, max_tokens: of each sample.
      aggregation: how step scores become one number; None does not score.
    """
    drawn = Samples([], [])
    left = MAX_SAMPLES if samples is None else samples
    wave = wave or (1 if samples is None else samples)
    try:
        while left > 0:
            asked = min(wave, left)
            left -= asked
            solutions = yield from complete(
                tree.root.trajectory,
                asked,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
            )
            finished = [solution for solution in solutions if solution.is_finished]
            drawn.num_cut += len(solutions) - len(finished)
            leaves = [tree.add_trajectory(solution) for solution in solutions if solution.steps]
            if aggregation is not None:
                scores = yield from score_all(finished)
                for solution, solution_scores in zip(finished, scores):
                    tree.add_scores(solution, solution_scores)
                    drawn.scores.append(aggregate(solution_scores, aggregation))
            drawn.trajectories.extend(finished)
            for leaf in leaves:
                if not leaf.is_finished:
                    tree.mark(leaf, "dead")
    except BudgetSpent:
        drawn.stop_reason = "budget"
    return drawn


def finish_greedily(
    tree: Tree, node: Node, counts: dict[str, int]
) -> Generator[Sequence[Request], list[Any], Node]:
    """Return the end of the greedy, unrated completion of a prefix, counted as a fallback.

    Returns `node` itself if the budget cannot pay for it.
    """
    try:
        (solution,) = yield from complete(node.trajectory, temperature=0.0)
    except BudgetSpent:
        return node
    counts["fallbacks"] += 1
    return tree.add_trajectory(solution) if solution.steps else node
