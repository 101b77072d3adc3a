"""Nav: siblings compete for the chance to be right, in one tree in which nothing is ever dead.

Each node's chance of leading to the right answer is shared among its children and what was not
drawn there (`core/chances.py`). One step is drawn where that gains most, and all chances are shared
anew: a bad score late in a solution raises the siblings of every step before it. It stops when one
answer holds enough. A low temperature brings the likely steps forward and, without replacement,
costs no variety. Ours; near `astar`, `pool`, and stopping by a posterior (arXiv 2305.11860).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Annotated, Any

from stepnav.core.chances import Belief, Evidence, as_seen, where_to_draw
from stepnav.core.options import Count, above, at_least
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.records import Trajectory
from stepnav.core.requests import BudgetSpent, Program, Request, score
from stepnav.core.tree import Tree
from stepnav.search.draw import finish_greedily
from stepnav.search.expand import StepOptions, draw_children, rate


def nav(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    stop: Annotated[float, above(0, up_to=1)] = 0.5,
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
      max_ends: prefixes that are finished greedily, one after the other, when nothing was accepted.
      right_low_slope, right_high_slope, right_offset: P(right) is the answer's share mapped by
        these (`as_seen`); `stepnav calibrate --run` fits them.
    """
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "iterations"
    belief = Belief(tree, evidence, max_steps, extract)
    belief.share()
    try:
        while counts["iterations"] < max_draws:
            gains, left = belief.gains, max_draws - counts["iterations"]
            wanted = where_to_draw(tree, gains, min(width, left))
            if not wanted:
                stop_reason = "exhausted"
                break
            counts["iterations"] += sum(n for _, n in wanted)
            has_solution = belief.top >= max(gains)
            drawn = yield from draw_children(tree, wanted, steps, counts, has_solution=has_solution)
            children = [child for some in drawn for child in some]
            belief.add(children)
            yield from rate(tree, children)
            belief.share()
            if belief.top >= stop:
                stop_reason = "accepted"
                break
    except BudgetSpent:  # perhaps before all was rated
        stop_reason = "budget"
        belief.share()
    yield from _finish(belief, counts, stop, max_ends)
    answer = next(iter(belief.votes), None)
    found = _chosen(belief, answer)
    right = as_seen(belief.top, right_low_slope, right_high_slope, right_offset)
    right_prob = right if belief.votes else None
    return Outcome(found, stop_reason, answer, counts, belief.votes, right_prob)


def _chosen(belief: Belief, answer: str | None) -> Trajectory | None:
    """Mark and return the likeliest of the solutions with the answer, or of all prefixes."""
    tree, voters = belief.tree, [leaf for leaf, given in belief.leaves if given == answer]
    chances = belief.chances
    best = max(voters or tree.nodes, key=lambda node: chances[node.index] if node.depth else -1.0)
    tree.mark_path(best, "chosen")
    return best.trajectory if best.depth else None


def _finish(
    belief: Belief, counts: dict[str, int], stop: float, max_ends: int
) -> Generator[Sequence[Request], list[Any], None]:
    """Finish prefixes greedily and rate their ends, where most is gained first.

    Until an answer holds enough, or more than any prefix gains, or nothing more is paid for.
    """
    tree, begun = belief.tree, set[int]()
    while belief.top < stop and len(begun) < max_ends:
        gains = [gain * (index not in begun) for index, gain in enumerate(belief.gains)]
        index = gains.index(max(gains))
        if gains[index] <= belief.top:
            return
        begun.add(index)
        end = yield from finish_greedily(tree, tree.nodes[index], counts)
        if end.index == index:  # not paid for
            return
        if end.is_finished:
            with suppress(BudgetSpent):  # unrated it is as good as any
                tree.add_scores(end.trajectory, (yield from score(end.trajectory)))
        belief.add([end])
        belief.share()
