"""VGB, value-guided backtracking: a random walk on the tree of steps that also goes back.

Source: Rohatgi et al. 2025, arXiv 2510.03149 (algorithm 1: stay with probability 1/2; else to a child
in proportion to policy times value, or to the parent in proportion to one's own value), from the
abstract and accounts of it. Differs in: the policy's share of a child is how often it was drawn among
the steps drawn at its parent, `branching` anew at each visit, because steps cannot be enumerated; the
value is the aggregated step score, at the end of a solution too; the walk goes on from solutions, and
every moment that it spends at one is a vote, where theirs reads the place after the last move.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program, Sampling, propose
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import Answer, conclude
from stepnav.search.expand import add_draws, distinct, rate, worth


def vgb(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    seed: int,
    branching: Count = 4,
    max_moves: Count = 100,
    redraw: bool = True,
    answer: Answer = "vote",
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    aggregation: Aggregation = "prod",
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the solution at which the walk spent most time, or the best one that it met.

    Args:
      branching: steps drawn at each visit.
      max_moves: moves of the walk, those that stay included.
      redraw: draw anew when a prefix is visited again; false takes the steps that are there.
      answer: "best", the solution of the highest value; "vote", one vote a moment spent there.
      temperature, top_p, aggregation, max_steps, max_step_tokens: as in `beam`.
      reserve_tokens: as in `beam`, as long as no solution was met.
    """
    sampling = Sampling(temperature, top_p, max_step_tokens)
    counts = {"moves": 0, "backtracks": 0, "duplicates": 0, "fallbacks": 0}
    chance = Random(seed)
    node, met = tree.root, list[Node]()
    stop_reason: StopReason = "iterations"
    try:
        for _ in range(max_moves):
            counts["moves"] += 1
            if chance.random() >= 0.5:
                if (
                    node.depth < max_steps
                    and not node.is_finished
                    and (redraw or not node.children)
                ):
                    steps = yield from propose(
                        node.trajectory, branching, sampling=sampling,
                        reserve_tokens=0 if met else reserve_tokens,
                    )  # fmt: skip
                    drawn = distinct(add_draws(tree, node, steps, counts))
                    yield from rate(tree, [n for n in drawn if n.value is None], aggregation)
                came_from = node
                node = _move(tree, node, chance)
                if node.index == came_from.parent:
                    counts["backtracks"] += 1
                elif node is not came_from:
                    tree.mark(node, "accepted")
            if node.is_finished:
                met.append(node)
            if node.depth:
                tree.set_value(node, node.value, visits=(node.visits or 0) + 1)
    except BudgetSpent:
        stop_reason = "budget"
    return (
        yield from conclude(
            tree, met, node, extract,
            answer=answer, stop_reason=stop_reason, counts=counts, weights=[1.0] * len(met),
        )
    )  # fmt: skip


def _move(tree: Tree, node: Node, chance: Random) -> Node:
    """Return a neighbour by chance; the node itself if all of them weigh nothing."""
    places, weights = [], []
    if node.depth:
        places.append(tree.parent(node))
        weights.append(worth(node))
    copies = {index: 1 + tree.nodes[index].duplicates for index in node.children}
    for index, number in copies.items():
        places.append(tree.nodes[index])
        weights.append(worth(tree.nodes[index]) * number / sum(copies.values()))
    if not sum(weights):
        return tree.parent(node) if node.depth else node
    return chance.choices(places, weights)[0]
