"""Drawing next steps, adding them to a tree and rating them: what step searches share."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace as changed
from typing import Any

from stepnav.core.aggregate import Aggregation, aggregate
from stepnav.core.records import Step
from stepnav.core.requests import BudgetSpent, Propose, Request, Sampling, score_all
from stepnav.core.tree import Node, Tree


def draw_children(
    tree: Tree,
    wanted: Sequence[tuple[Node, int]],
    sampling: Sampling,
    counts: dict[str, int],
    *,
    replace: bool,
    first_greedy: bool,
    reserve_tokens: int = 0,
) -> Generator[Sequence[Request], list[Any], list[list[Node]]]:
    """Return for each node the new children that drawing next steps makes; use with `yield from`.

        drawn = yield from draw_children(
            tree, [(node, 1)], sampling, counts, replace=replace, first_greedy=first_greedy
        )

    See `draw_steps` and `add_steps`, of which it is made.

    Args:
      tree: gets the children.
      wanted, sampling, replace, first_greedy, reserve_tokens: as of `draw_steps`.
      counts: gets "duplicates".
    Raises:
      BudgetSpent: inside the program, if the budget pays for nothing.
    """
    drawn = yield from draw_steps(
        wanted, sampling, replace=replace, first_greedy=first_greedy, reserve_tokens=reserve_tokens
    )
    return [add_steps(tree, node, steps, counts) for (node, _), steps in zip(wanted, drawn)]


def draw_steps(
    wanted: Sequence[tuple[Node, int]],
    sampling: Sampling,
    *,
    replace: bool,
    first_greedy: bool,
    reserve_tokens: int = 0,
) -> Generator[Sequence[Request], list[Any], list[list[Step]]]:
    """Return the next steps that are drawn after nodes; use with `yield from`.

    Afterwards `node.drawn` holds all that was drawn after a node, and `node.is_exhausted` tells
    that nothing is left to draw there: do not ask again. Fewer steps come back for one other
    reason, a budget that is spent, which the next request then meets. Nodes are served side by
    side; a greedy first draw comes before the others of its node.

    Args:
      wanted: nodes, and how many steps to draw after each, at least 1. A node that stands there
        several times is asked once, and its steps are dealt out in order.
      sampling: of the draws.
      replace: draw with replacement; else no step is drawn twice after the same node.
      first_greedy: the first step after a node is the greedy one.
      reserve_tokens: as in `Propose`.
    Raises:
      BudgetSpent: inside the program, if the budget pays for nothing.
    """
    nodes = {node.index: node for node, _ in wanted}
    drawn = {index: list[Step]() for index in nodes}
    left = {index: sum(n for node, n in wanted if node.index == index) for index in nodes}
    while any(left.values()):
        requests = {}
        for index in [index for index in nodes if left[index]]:
            own = sampling_at(nodes[index], sampling, replace=replace, first_greedy=first_greedy)
            n = 1 if own.temperature != sampling.temperature else left[index]
            requests[index] = Propose(nodes[index].trajectory, n, own, reserve_tokens)
            left[index] -= n
        try:
            answers = yield list(requests.values())
        except BudgetSpent:
            if not any(drawn.values()):
                raise
            break
        for (index, request), steps in zip(requests.items(), answers):
            drawn[index] += steps
            nodes[index].drawn += steps
            if len(steps) < request.n:
                nodes[index].is_exhausted, left[index] = not replace, 0
    return [[drawn[node.index].pop(0) for _ in range(min(n, len(drawn[node.index])))]
            for node, n in wanted]  # fmt: skip


def draw_all(
    tree: Tree,
    wanted: Sequence[tuple[Node, int]],
    sampling: Sampling,
    counts: dict[str, int],
    **how: Any,
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Return the child of every draw, as `add_draws` does; arguments as of `draw_steps`.

    Nodes after which nothing is wanted or left may be among those wanted. `counts["iterations"]`
    gets the number of draws.
    """
    left = [(node, n) for node, n in wanted if n > 0 and not node.is_exhausted]
    if not left:
        return []
    drawn = yield from draw_steps(left, sampling, **how)
    counts["iterations"] += sum(map(len, drawn))
    return [
        child
        for (node, _), steps in zip(left, drawn)
        for child in add_draws(tree, node, steps, counts)
    ]


def sampling_at(node: Node, sampling: Sampling, *, replace: bool, first_greedy: bool) -> Sampling:
    """Return how the next step after a node is drawn; arguments as of `draw_steps`."""
    without = None if replace else tuple(node.drawn)
    if not first_greedy or node.drawn or not sampling.temperature:
        return sampling if replace else changed(sampling, without=without)
    later = sampling.temperature
    return changed(sampling, temperature=0.0, without=without, later_temperature=later)


def undrawn_prob(node: Node) -> float:
    """Return the probability that a step after a node is none of those drawn there.

    Where a policy tells no probabilities, a share that falls with their number.
    """
    known = [math.exp(step.logprob) for step in node.drawn if step.logprob is not None]
    return max(0.0, 1 - sum(known)) if len(known) == len(node.drawn) else 1 / (1 + len(node.drawn))


def add_steps(
    tree: Tree, parent: Node, steps: Sequence[Step], counts: dict[str, int]
) -> list[Node]:
    """Return the new children that drawn steps make.

    A step with the text of an earlier sibling is that sibling's duplicate (`counts["duplicates"]`).
    A step that a limit cut becomes a dead child, and is not returned: it can neither be rated nor
    continued.
    """
    children = []
    for step in steps:
        twin = tree.find_child(parent, step)
        if twin is not None:
            tree.count_duplicate(twin)
            counts["duplicates"] += 1
            continue
        child = tree.add(parent, step)
        if step.is_cut:
            tree.mark(child, "dead")
        else:
            children.append(child)
    return children


def add_draws(
    tree: Tree, parent: Node, steps: Sequence[Step], counts: dict[str, int]
) -> list[Node]:
    """Return the child that each proposed step makes or repeats, in order of proposal.

    A child stands there as often as it was drawn; one that a limit cut is left out.
    """
    add_steps(tree, parent, steps, counts)
    found = [tree.find_child(parent, step) for step in steps if not step.is_cut]
    return [node for node in found if node is not None]


def live_children(tree: Tree, node: Node) -> list[Node]:
    """Return the children that are not dead, in order of drawing."""
    return [tree.nodes[i] for i in node.children if tree.nodes[i].status != "dead"]


def was_cut(tree: Tree) -> bool:
    """Return whether the budget cut a step."""
    return any(node.step.finish == "budget" for node in tree.nodes[1:])


def distinct(nodes: Sequence[Node]) -> list[Node]:
    """Return every node once, in order of first appearance."""
    return list({node.index: node for node in nodes}.values())


def worth(node: Node) -> float:
    """Return the value of a node, 0 for one that is not rated."""
    return node.value or 0.0


def rate(
    tree: Tree,
    nodes: Sequence[Node],
    aggregation: Aggregation = "last",
    ends: Sequence[Node] | None = None,
) -> Generator[Sequence[Request], list[Any], None]:
    """Set the scores of nodes, and as their values the aggregated scores of their paths.

    Args:
      tree: holds them.
      nodes: those to rate.
      aggregation: how the step scores of a path become one number.
      ends: for each node itself, or a later node whose path is scored in its stead (a rollout).
    Raises:
      BudgetSpent: inside the program, if the budget does not pay for all of them.
    """
    scores = yield from score_all([end.trajectory for end in ends or nodes])
    for node, path_scores in zip(nodes, scores):
        tree.set_score(node, path_scores[node.depth - 1])
        tree.set_value(node, aggregate(path_scores, aggregation))


def rate_new(
    tree: Tree, nodes: Sequence[Node], aggregation: Aggregation
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Rate those nodes that have no value yet, each once, and return them."""
    new = distinct([node for node in nodes if node.value is None])
    yield from rate(tree, new, aggregation)
    return new


def roll_out(
    tree: Tree,
    nodes: Sequence[Node],
    num_steps: int,
    sampling: Sampling,
    *,
    replace: bool,
    reserve_tokens: int = 0,
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Return for each node the end of a greedy rollout, which its whole steps lead to.

    A rollout follows the first step that was drawn after a node, if one was.

    Args:
      tree: is given the steps, unrated.
      nodes: where the rollouts begin.
      num_steps: of each rollout, fewer if it ends the solution.
      sampling: of later draws after the same nodes; its limit is that of a step.
      replace: whether those are drawn with replacement.
      reserve_tokens: policy tokens of the budget that are kept back.
    """
    ends, counts = list(nodes), {"iterations": 0, "duplicates": 0}
    for _ in range(num_steps):
        fresh = [(end, 1) for end in distinct(ends) if not end.is_finished and not end.drawn]
        yield from draw_all(
            tree, fresh, sampling, counts,
            replace=replace, first_greedy=True, reserve_tokens=reserve_tokens,
        )  # fmt: skip
        firsts = [tree.find_child(end, end.drawn[0]) if end.drawn else None for end in ends]
        ends = [end if first is None or first.step.is_cut else first
                for end, first in zip(ends, firsts)]  # fmt: skip
    return ends
