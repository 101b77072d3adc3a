"""Adding proposed steps to a tree and rating them: what step searches share."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from stepnav.core.aggregate import Aggregation, aggregate
from stepnav.core.records import Step
from stepnav.core.requests import Request, score_all
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


def rate(
    tree: Tree, nodes: Sequence[Node], aggregation: Aggregation = "last"
) -> Generator[Sequence[Request], list[Any], None]:
    """Set the scores of nodes, and as their values the aggregated scores of their paths.

    Raises:
      BudgetSpent: inside the program, if the budget does not pay for all of them.
    """
    scores = yield from score_all([node.trajectory for node in nodes])
    for node, path_scores in zip(nodes, scores):
        tree.set_score(node, path_scores[-1])
        tree.set_value(node, aggregate(path_scores, aggregation))
