"""Nav: siblings compete for the chance to be right, in one tree in which nothing is ever dead.

Each node's chance of leading to the right answer is shared among its children and what was not
drawn there (`core/chances.py`). One step is drawn where that gains most, and all chances are shared
anew: a bad score late in a solution raises the siblings of every step before it. It stops when one
answer holds enough. Ours; near `astar`, `pool`, and stopping by a posterior (arXiv 2305.11860).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from stepnav.core.chances import Evidence, as_seen, share_chances, where_to_draw
from stepnav.core.options import Count, at_least, between
from stepnav.core.outcome import Outcome, StopReason
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
    slope: Annotated[float, at_least(0)] = 1.0,
    offset: float = 0.8,
    neutral: Annotated[float, between(0, 1)] = 0.3,
    likelihood: Annotated[float, at_least(0)] = 1.0,
    novelty: Annotated[float, at_least(0)] = 0.5,
    width: Count = 1,
    max_draws: Count = 100,
    max_steps: Count = 40,
    right_slope: Annotated[float, at_least(0)] = 1.0,
    right_offset: float = 0.0,
    steps: StepOptions,
) -> Program:
    """Return the answer that holds the largest share of the chance to be right.

    Args:
      stop: the share of the chance at which an answer is accepted.
      slope, offset: log-odds of a step are `slope` * logit(value) + `offset`.
      neutral: what a neutral step is worth beside a positive one: it brings no answer nearer, and
        after it the policy proposes what it proposed before it.
      likelihood: power of a step's probability under the policy; 0 leaves it out.
      novelty: the higher, the less a draw gains after a prefix of which most was drawn.
      width: steps drawn at once, for hardware that batches; more than one sees less between draws.
      max_draws: steps drawn in all.
      max_steps: as in `beam`.
      right_slope, right_offset: P(right) is the answer's share with its log-odds mapped by these;
        `stepnav calibrate --run` fits them.
    """
    evidence = Evidence(slope, offset, likelihood, novelty, neutral)
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "iterations"
    leaves: list[Leaf] = []
    share = partial(_share, tree, leaves, evidence, max_steps)
    chances, gains, votes = share()
    try:
        while counts["iterations"] < max_draws:
            wanted = where_to_draw(tree, gains, min(width, max_draws - counts["iterations"]))
            if not wanted:
                stop_reason = "exhausted"
                break
            counts["iterations"] += sum(n for _, n in wanted)
            has_solution = max(votes.values(), default=0.0) >= max(gains)
            drawn = yield from draw_children(tree, wanted, steps, counts, has_solution=has_solution)
            children = [child for some in drawn for child in some]
            leaves += [(c, extract(c.trajectory.text)) for c in children if c.is_finished]
            yield from rate(tree, children)
            chances, gains, votes = share()
            if max(votes.values(), default=0.0) >= stop:
                stop_reason = "accepted"
                break
    except BudgetSpent:  # perhaps before all was rated
        stop_reason = "budget"
        chances, gains, votes = share()
    if stop_reason != "accepted":
        best = max(tree.nodes, key=lambda node: gains[node.index])
        if gains[best.index] > max(votes.values(), default=0.0):
            ends = yield from _finish(tree, best, counts)
            leaves += [(end, extract(end.trajectory.text)) for end in ends]
            chances, _, votes = share()
    answer = next(iter(votes), None)
    voters = [leaf for leaf, given in leaves if given == answer]
    chosen = max(voters or tree.nodes, key=lambda node: chances[node.index] if node.depth else -1.0)
    tree.mark_path(chosen, "chosen")
    found = chosen.trajectory if chosen.depth else None
    held = votes.get(answer or "")
    right = None if held is None else as_seen(held, right_slope, right_offset)
    return Outcome(found, stop_reason, answer, counts, votes, right)


def _share(
    tree: Tree, leaves: Sequence[Leaf], evidence: Evidence, max_steps: int
) -> tuple[list[float], list[float], dict[str, float]]:
    """Return the chances and gains of all nodes, and those of the answers, largest first."""
    chances, gains = share_chances(tree, evidence, max_steps)
    weights = [chances[leaf.index] for leaf, _ in leaves]
    return chances, gains, count_votes([answer for _, answer in leaves], weights)


def _finish(
    tree: Tree, node: Node, counts: dict[str, int]
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Return the rated end of the greedy completion of a prefix; nothing if there is none."""
    leaf = yield from finish_greedily(tree, node, counts)
    if not leaf.is_finished:
        return []
    with suppress(BudgetSpent):  # unrated it is as good as any
        tree.add_scores(leaf.trajectory, (yield from score(leaf.trajectory)))
    return [leaf]
