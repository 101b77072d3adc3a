"""Step-level beam search guided by a process reward model.

Source: Snell et al. 2024, arXiv 2408.03314 ("beam search" there; "BFS-V" elsewhere).
With `beam_size` 1 it is stepwise best-of-K: the highest scored of K next steps, at every step.
Differs in: siblings with equal text are merged and counted as duplicates instead of filling the
beam; finished solutions keep their place in the beam; the first round draws `branching` steps, not
`beam_size` times as many; step scores are multiplied unless `aggregation` is "last"; the answer is
the best beam's, not a weighted vote over the last beams.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.requests import BudgetSpent, Program, Propose, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import finish_greedily
from stepnav.search.expand import add_steps, rate


def beam(
    tree: Tree,
    *,
    beam_size: Count = 4,
    branching: Count = 4,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    aggregation: Aggregation = "prod",
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
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
    sampling = Sampling(temperature, top_p, max_step_tokens)
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "length"
    try:
        for _ in range(max_steps):
            open_nodes = [node for node in kept if not node.is_finished]
            requests = [
                Propose(node.trajectory, branching, sampling, reserve_tokens) for node in open_nodes
            ]
            proposals = yield requests
            counts["iterations"] += sum(map(len, proposals))
            children = [
                child
                for node, steps in zip(open_nodes, proposals)
                for child in add_steps(tree, node, steps, counts)
            ]
            yield from rate(tree, children, aggregation)
            rivals = [node for node in kept if node.is_finished] + children
            if not rivals:
                is_cut = any(s.finish == "budget" for steps in proposals for s in steps)
                stop_reason = "budget" if is_cut else "exhausted"
                break
            kept = _keep_best(tree, rivals, beam_size)
            tree.settle(kept)
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
