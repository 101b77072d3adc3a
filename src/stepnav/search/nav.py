"""Nav: siblings compete for the chance to be right, in one tree in which nothing is ever dead.

Each node's chance of leading to the right answer is shared among its children and what was not
drawn there (`core/chances.py`). One step is drawn where that gains most, and all chances are shared
anew: a bad score late in a solution raises the siblings of every step before it. It stops when one
answer holds enough. Ours; near `astar`, `pool`, and stopping by a posterior (arXiv 2305.11860).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Annotated, Any

from stepnav.core.chances import Evidence, as_seen, share_chances, where_to_draw
from stepnav.core.options import Count, at_least, between
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.records import Trajectory
from stepnav.core.requests import BudgetSpent, Program, Request, score
from stepnav.core.tree import Node, Tree
from stepnav.core.vote import count_votes
from stepnav.search.draw import finish_greedily
from stepnav.search.expand import StepOptions, draw_children, rate

Leaf = tuple[Node, str | None]
"""The end of a solution, and its answer."""


def nav(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    stop: Annotated[float, between(0, 1)] = 0.5,
    width: Count = 1,
    max_draws: Count = 100,
    max_steps: Count = 40,
    max_ends: Count = 8,
    right_low_slope: Annotated[float, at_least(0)] = 1.0,
    right_high_slope: Annotated[float, at_least(0)] = 1.0,
    right_offset: float = 0.0,
    evidence: Evidence = Evidence(),
    steps: StepOptions = StepOptions(temperature=0.5),
) -> Program:
    """Return the answer that holds the largest share of the chance to be right.

    Args:
      stop: the share of the chance at which an answer is accepted.
      width: steps drawn at once, for hardware that batches; more than one sees less between draws.
      max_draws: steps drawn in all.
      max_steps: as in `beam`.
      temperature: a low one costs no variety without replacement: likely steps come first.
      max_ends: prefixes that are finished greedily, one after the other, when nothing was accepted.
      right_low_slope, right_high_slope, right_offset: P(right) is the answer's share mapped by
        these (`as_seen`); `stepnav calibrate --run` fits them.
    """
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "iterations"
    leaves: list[Leaf] = []

    def share() -> tuple[list[float], list[float], dict[str, float], float]:
        """Return chances and gains by node, chances by answer, largest first, and the largest."""
        chances, gains = share_chances(tree, evidence, max_steps)
        held = [chances[leaf.index] for leaf, _ in leaves]
        votes = count_votes([given for _, given in leaves], held)
        return chances, gains, votes, max(votes.values(), default=0.0)

    chances, gains, votes, top = share()
    try:
        while counts["iterations"] < max_draws:
            wanted = where_to_draw(tree, gains, min(width, max_draws - counts["iterations"]))
            if not wanted:
                stop_reason = "exhausted"
                break
            counts["iterations"] += sum(n for _, n in wanted)
            has_solution = top >= max(gains)
            drawn = yield from draw_children(tree, wanted, steps, counts, has_solution=has_solution)
            children = [child for some in drawn for child in some]
            leaves += [(c, extract(c.trajectory.text)) for c in children if c.is_finished]
            yield from rate(tree, children)
            chances, gains, votes, top = share()
            if top >= stop:
                stop_reason = "accepted"
                break
    except BudgetSpent:  # perhaps before all was rated
        stop_reason = "budget"
        chances, gains, votes, top = share()
    begun: set[int] = set()
    while top < stop and len(begun) < max_ends:
        left = [index for index in range(len(gains)) if index not in begun]
        index = max(left, key=gains.__getitem__, default=0)
        if gains[index] <= top:
            break
        begun.add(index)
        end = yield from _finish(tree, tree.nodes[index], counts)
        if end.index == index:  # not paid for
            break
        leaves += [(end, extract(end.trajectory.text))] * end.is_finished
        chances, gains, votes, top = share()
    answer = next(iter(votes), None)
    found = _chosen(tree, [leaf for leaf, given in leaves if given == answer], chances)
    right = as_seen(top, right_low_slope, right_high_slope, right_offset) if votes else None
    return Outcome(found, stop_reason, answer, counts, votes, right)


def _chosen(tree: Tree, voters: Sequence[Node], chances: Sequence[float]) -> Trajectory | None:
    """Mark and return the likeliest of the solutions with the answer, or of all prefixes."""
    best = max(voters or tree.nodes, key=lambda node: chances[node.index] if node.depth else -1.0)
    tree.mark_path(best, "chosen")
    return best.trajectory if best.depth else None


def _finish(
    tree: Tree, node: Node, counts: dict[str, int]
) -> Generator[Sequence[Request], list[Any], Node]:
    """Return the rated end of the greedy completion of a prefix; the prefix if there is none."""
    end = yield from finish_greedily(tree, node, counts)
    if end.is_finished:
        with suppress(BudgetSpent):  # unrated it is as good as any
            tree.add_scores(end.trajectory, (yield from score(end.trajectory)))
    return end
