"""Adding proposed steps to a tree and rating them: what step searches share."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from stepnav.core.aggregate import Aggregation, aggregate
from stepnav.core.records import Step
from stepnav.core.requests import Propose, Request, Sampling, score_all
from stepnav.core.tree import Node, Tree


def add_steps(
    tree: Tree, parent: Node, steps: Sequence[Step], counts: dict[str, int]
) -> list[Node]:
    """Return the new children that proposed steps make.

    A step with the text of an earlier sibling is that sibling's duplicate (`counts["duplicates"]`). A
    step that a limit cut becomes a dead child, and is not returned: it can neither be rated nor
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


def roll_out(
    tree: Tree, nodes: Sequence[Node], num_steps: int, sampling: Sampling, reserve_tokens: int = 0
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Return for each node the end of a rollout, which its steps that are whole lead to.

    Args:
      tree: is given the steps, unrated.
      nodes: where the rollouts begin.
      num_steps: of each rollout, fewer if it ends the solution.
      sampling: of each step.
      reserve_tokens: policy tokens of the budget that are kept back.
    """
    ends, going = list(nodes), list(range(len(nodes)))
    for _ in range(num_steps):
        going = [i for i in going if not ends[i].is_finished]
        if not going:
            break
        steps = yield [Propose(ends[i].trajectory, 1, sampling, reserve_tokens) for i in going]
        found = {
            i: add_draws(tree, ends[i], new, {"duplicates": 0}) for i, new in zip(going, steps)
        }
        going = [i for i in going if found[i]]
        for i in going:
            (ends[i],) = found[i]
    return ends
