"""Drawing next steps, adding them to a tree and rating them: what step searches share."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any

from stepnav.core.aggregate import Aggregation, aggregate
from stepnav.core.options import Count, NumTokens, Temperature, TopP
from stepnav.core.records import Step
from stepnav.core.requests import BudgetSpent, Clipped, Propose, Request, Sampling, score_first
from stepnav.core.tree import Node, Tree


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How next steps are drawn: the options of every strategy that has this in its signature.

    Attributes:
      temperature, top_p: of each draw.
      replace: draw with replacement, as papers do, so that siblings may be duplicates; else no step
        is drawn twice after the same prefix.
      first_greedy: the first step after a prefix is the policy's greedy one.
      max_step_tokens: limit of one step; None leaves it to the backend.
      reserve_tokens: policy tokens of the budget that are kept back to finish a prefix greedily
        when the rest is spent, as long as there is no solution.
    """

    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    replace: bool = False
    first_greedy: bool = True
    max_step_tokens: Count | None = None
    reserve_tokens: NumTokens = 0

    def at(self, node: Node) -> Sampling:
        """Return how the next step after a node is drawn."""
        without = None if self.replace else tuple(node.drawn)
        if not self.first_greedy or node.drawn or not self.temperature:
            return Sampling(self.temperature, self.top_p, self.max_step_tokens, without)
        return Sampling(0.0, self.top_p, self.max_step_tokens, without, self.temperature)

    def reserve(self, has_solution: bool) -> int:
        """Return how many policy tokens are kept back."""
        return 0 if has_solution else self.reserve_tokens


def draw_children(
    tree: Tree,
    wanted: Sequence[tuple[Node, int]],
    options: StepOptions,
    counts: dict[str, int],
    *,
    has_solution: bool = False,
) -> Generator[Sequence[Request], list[Any], list[list[Node]]]:
    """Return for each node the new children that drawing next steps makes; use with `yield from`.

        drawn = yield from draw_children(tree, [(node, 1)], options, counts)

    See `draw_steps` and `add_steps`, of which it is made.

    Args:
      tree: gets the children.
      wanted, options, has_solution: as of `draw_steps`.
      counts: gets "duplicates".
    Raises:
      BudgetSpent: inside the program, if the budget pays for nothing.
    """
    drawn = yield from draw_steps(wanted, options, has_solution=has_solution)
    return [add_steps(tree, node, steps, counts) for (node, _), steps in zip(wanted, drawn)]


def draw_steps(
    wanted: Sequence[tuple[Node, int]], options: StepOptions, *, has_solution: bool = False
) -> Generator[Sequence[Request], list[Any], list[list[Step]]]:
    """Return the next steps that are drawn after nodes; use with `yield from`.

    Afterwards `node.drawn` holds all that was drawn after a node, and `node.is_exhausted` tells
    that nothing is left to draw there: do not ask again. Fewer steps come back for one other
    reason, a budget that is spent, which the next request then meets. Nodes are served side by
    side; a greedy first draw comes before the others of its node.

    Args:
      wanted: nodes, and how many steps to draw after each, at least 1. A node that stands there
        several times is asked once, and its steps are dealt out in order.
      options: of the draws.
      has_solution: whether the search has one, so that no tokens need be kept back.
    Raises:
      BudgetSpent: inside the program, if the budget pays for nothing.
    """
    nodes = {node.index: node for node, _ in wanted}
    drawn = {index: list[Step]() for index in nodes}
    left = {index: sum(n for node, n in wanted if node.index == index) for index in nodes}
    while any(left.values()):
        requests = {}
        for index in [index for index in nodes if left[index]]:
            own = options.at(nodes[index])
            n = 1 if own.temperature != options.temperature else left[index]
            requests[index] = Propose(
                nodes[index].trajectory, n, own, options.reserve(has_solution)
            )
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
                is_told = not (options.replace or isinstance(steps, Clipped))
                nodes[index].is_exhausted = is_told
                left[index] = 0
    return [[drawn[node.index].pop(0) for _ in range(min(n, len(drawn[node.index])))]
            for node, n in wanted]  # fmt: skip


def draw_all(
    tree: Tree,
    wanted: Sequence[tuple[Node, int]],
    options: StepOptions,
    counts: dict[str, int],
    *,
    has_solution: bool = False,
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Return the child of every draw, as `add_draws` does; arguments as of `draw_steps`.

    Nodes after which nothing is wanted or left may be among those wanted. `counts["iterations"]`
    gets the number of draws.
    """
    left = [(node, n) for node, n in wanted if n > 0 and not node.is_exhausted]
    if not left:
        return []
    drawn = yield from draw_steps(left, options, has_solution=has_solution)
    counts["iterations"] += sum(map(len, drawn))
    return [
        child
        for (node, _), steps in zip(left, drawn)
        for child in add_draws(tree, node, steps, counts)
    ]


def undrawn_prob(node: Node) -> float:
    """Return the probability that a step after a node is none of those drawn there.

    Where a policy tells no probabilities, a share that falls with their number.
    """
    ways = {step.way: step.logprob for step in node.drawn}  # with replacement, one is drawn twice
    known = [math.exp(logprob) for logprob in ways.values() if logprob is not None]
    return max(0.0, 1 - math.fsum(known)) if len(known) == len(ways) else 1 / (1 + len(node.drawn))


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


def distinct(nodes: Sequence[Node]) -> list[Node]:
    """Return every node once, in order of first appearance."""
    return list({node.index: node for node in nodes}.values())


def worth(node: Node) -> float:
    """Return the value of a node, 0 for one that is not rated."""
    return node.value or 0.0


def keep_best(tree: Tree, rivals: Sequence[Node], n: int) -> list[Node]:
    """Return the best nodes, equal ones in order of proposal, and mark what became of all."""
    ranked = sorted(rivals, key=worth, reverse=True)
    for node in ranked[:n]:
        tree.mark(node, "accepted")
    for node in ranked[n:]:
        tree.mark(node, "dead")
    return ranked[:n]


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
      BudgetSpent: inside the program, if the budget does not pay for all of them; the first ones
        that it pays for are rated all the same.
    """
    scores, spent = yield from score_first([end.trajectory for end in ends or nodes])
    for node, path_scores in zip(nodes, scores):
        tree.set_score(node, path_scores[node.depth - 1])
        tree.set_value(node, aggregate(path_scores, aggregation))
    if spent is not None:
        raise spent


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
    options: StepOptions,
    *,
    has_solution: bool = False,
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Return for each node the end of a greedy rollout, which its whole steps lead to.

    A rollout follows the first step that was drawn after a node, if one was.

    Args:
      tree: is given the steps, unrated.
      nodes: where the rollouts begin.
      num_steps: of each rollout, fewer if it ends the solution.
      options, has_solution: as of `draw_steps`; the options of later draws after the same nodes.
    """
    ends, counts = list(nodes), {"iterations": 0, "duplicates": 0}
    greedy = changed(options, first_greedy=True)
    for _ in range(num_steps):
        fresh = [(end, 1) for end in distinct(ends) if not end.is_finished and not end.drawn]
        yield from draw_all(tree, fresh, greedy, counts, has_solution=has_solution)
        firsts = [tree.find_child(end, end.drawn[0]) if end.drawn else None for end in ends]
        ends = [end if first is None or first.step.is_cut else first
                for end, first in zip(ends, firsts)]  # fmt: skip
    return ends
