"""Step-level beam search guided by a process reward model.

Source: Snell et al. 2024, arXiv 2408.03314 ("beam search" there; "BFS-V" elsewhere).
With `beam_size` 1 it is stepwise best-of-K: the highest scored of K next steps, at every step.
Differs in: siblings with equal text are merged and counted as duplicates instead of filling the
beam; finished solutions keep their place in the beam; the first round draws `branching` steps, not
`beam_size` times as many; step scores are multiplied unless `aggregation` is "last"; the answer is
the best beam's, not a weighted vote over the last beams.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from stepnav.core.aggregate import Aggregation, aggregate
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.requests import BudgetSpent, Program, Propose, Request, score_all
from stepnav.core.tree import Node, Tree
from stepnav.search.sampling import finish_greedily


def beam(
    tree: Tree,
    *,
    beam_size: int = 4,
    branching: int = 4,
    temperature: float = 1.0,
    top_p: float = 1.0,
    aggregation: Aggregation = "prod",
    max_steps: int = 40,
    max_step_tokens: int | None = None,
    reserve_tokens: int = 0,
) -> Program:
    """Return the best scored solution in the last beam.

    Args:
      tree: holds the problem, is given every proposed step.
      beam_size: prefixes kept.
      branching: proposals per kept prefix.
      temperature, top_p: of each proposal.
      aggregation: how the step scores of a prefix become one number.
      max_steps: steps of the longest solution.
      max_step_tokens: limit of one step; None leaves it to the backend.
      reserve_tokens: policy tokens of the budget that are kept back to finish the best prefix
        greedily when the rest is spent.
    """
    kept = [tree.root]
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "length"
    try:
        for _ in range(max_steps):
            open_nodes = [node for node in kept if not node.is_finished]
            requests = [
                Propose(
                    node.trajectory, branching, temperature, top_p, max_step_tokens, reserve_tokens
                )
                for node in open_nodes
            ]
            proposals = yield requests
            counts["iterations"] += len(requests) * branching
            children = _add_children(tree, open_nodes, proposals, counts)
            yield from _rate(children, aggregation)
            rivals = [node for node in kept if node.is_finished] + children
            if not rivals:
                stop_reason = "exhausted"
                break
            kept = _keep_best(tree, rivals, beam_size)
            if all(node.is_finished for node in kept):
                stop_reason = "finished"
                break
    except BudgetSpent:
        stop_reason = "budget"
    finished = [node for node in kept if node.is_finished]
    best = max(finished or kept, key=_value)
    if not finished:
        best = yield from finish_greedily(tree, best, counts)
    tree.mark_path(best, "chosen")
    return Outcome(best.trajectory if best.depth else None, stop_reason, counts=counts)


def _add_children(
    tree: Tree, parents: Sequence[Node], proposals: Sequence[Any], counts: dict[str, int]
) -> list[Node]:
    children = []
    for parent, steps in zip(parents, proposals):
        for step in steps:
            twin = tree.find_child(parent, step)
            if twin is not None:
                twin.duplicates += 1
                counts["duplicates"] += 1
                continue
            child = tree.add(parent, step)
            if step.finish == "length":  # a cut step can be neither rated nor continued
                tree.mark(child, "dead")
            else:
                children.append(child)
    return children


def _rate(
    children: Sequence[Node], aggregation: Aggregation
) -> Generator[Sequence[Request], list[Any], None]:
    scores = yield from score_all([child.trajectory for child in children])
    for child, path_scores in zip(children, scores):
        child.score = path_scores[-1]
        child.value = aggregate(path_scores, aggregation)


def _keep_best(tree: Tree, rivals: Sequence[Node], beam_size: int) -> list[Node]:
    """Return the best nodes, equal ones in order of proposal, and mark what became of all."""
    ranked = sorted(rivals, key=_value, reverse=True)
    for node in ranked[:beam_size]:
        tree.mark(node, "accepted")
    for node in ranked[beam_size:]:
        tree.mark(node, "dead")
    return ranked[:beam_size]


def _value(node: Node) -> float:
    return -1.0 if node.value is None else node.value
