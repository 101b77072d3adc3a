"""VGB, value-guided backtracking: a random walk on the tree of steps that also goes back.

Source: Rohatgi et al. 2025, arXiv 2510.03149 (algorithm 1: stay with probability 1/2; else to a
child in proportion to policy times value, or to the parent in proportion to one's own value), from
the abstract and accounts of it. Differs in: a prefix has the children that were drawn there
(`branching`, or with `redraw` so many more at each visit), because steps cannot be enumerated; the
policy's share of each is its probability where that is known and none was drawn twice, else how
often it was drawn; the value is the aggregated step score, at the end of a solution too; the walk
goes on from solutions, and every moment that it spends at one is a vote, where theirs reads the
place after the last move.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import Answer, conclude
from stepnav.search.expand import StepOptions, draw_all, live_children, rate_new, worth


def vgb(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    seed: int,
    branching: Count = 4,
    max_moves: Count = 100,
    redraw: bool = False,
    answer: Answer = "vote",
    aggregation: Aggregation = "prod",
    max_steps: Count = 40,
    steps: StepOptions,
) -> Program:
    """Return the solution at which the walk spent most time, or the best one that it met.

    Args:
      branching: steps drawn at the first visit of a prefix.
      max_moves: moves of the walk, those that stay included.
      redraw: draw as many again at each later visit.
      answer: "best", the solution of the highest value; "vote", one vote a moment spent there.
      aggregation, max_steps: as in `beam`.
    """
    counts = {"iterations": 0, "backtracks": 0, "duplicates": 0, "fallbacks": 0}
    chance = Random(seed)
    node, met = tree.root, list[Node]()
    stop_reason: StopReason = "iterations"
    try:
        for _ in range(max_moves):
            if chance.random() >= 0.5:
                is_open = node.depth < max_steps and not node.is_finished
                if is_open and (redraw or not node.drawn):
                    children = yield from draw_all(
                        tree, [(node, branching)], steps, counts, has_solution=bool(met)
                    )
                    yield from rate_new(tree, children, aggregation)
                came_from = node
                node = _move(tree, node, chance, by_probability=not steps.replace)
                counts["backtracks"] += node.index == came_from.parent
            if node.depth:
                tree.mark(node, "accepted")
                tree.set_value(node, node.value, visits=(node.visits or 0) + 1)
            if node.is_finished:
                met.append(node)
    except BudgetSpent:
        stop_reason = "budget"
    return (yield from conclude(tree, met, node, extract, answer=answer, stop_reason=stop_reason,
                                counts=counts, weights=[1.0] * len(met)))  # fmt: skip


def _move(tree: Tree, node: Node, chance: Random, *, by_probability: bool) -> Node:
    """Return a neighbour by chance; the node itself if all of them weigh nothing."""
    children = live_children(tree, node)
    shares = policy_shares(tree, children, by_probability=by_probability)
    places = children + ([tree.parent(node)] if node.depth else [])
    weights = [share * worth(child) for child, share in zip(children, shares)]
    weights += [worth(node)] if node.depth else []
    if not sum(weights):
        return tree.parent(node) if node.depth else node
    return chance.choices(places, weights)[0]


def policy_shares(tree: Tree, children: list[Node], *, by_probability: bool) -> list[float]:
    """Return the policy's probability of each child, as far as it is known; they add up to 1."""
    logprobs = map(tree.logprob, children)
    known = [logprob for logprob in logprobs if logprob is not None]
    is_known = len(known) == len(children) and max(known, default=0.0) > -math.inf
    if by_probability and is_known:
        parts = [math.exp(logprob - max(known)) for logprob in known]
    else:
        parts = [1.0 + child.duplicates for child in children]
    total = math.fsum(parts)
    return [part / total for part in parts]
