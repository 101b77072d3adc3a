"""Tree of thoughts: breadth-first with the best states kept, or depth-first with pruning.

Source: Yao et al. 2023, arXiv 2305.10601, algorithms 1 (ToT-BFS) and 2 (ToT-DFS), from memory of the
paper. Thoughts are steps. States are valued one by one (sure, likely, impossible, weighed 20 : 1 :
0.001 and averaged), voted on together, or scored by a reward model, which the paper does not have.
Differs in: thoughts are independent samples, not proposed in a list; equal siblings are merged; finished
solutions keep their place in the breadth; prompts are ours; where the paper completes the best state,
we finish greedily, and only if no solution is finished; depth-first shows siblings, not all
states, to a vote, and returns the finished solution of the highest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP, between
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.requests import BudgetSpent, Program, Propose, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import finish_greedily
from stepnav.search.evaluate import evaluate
from stepnav.search.expand import add_steps


def tot(
    tree: Tree,
    *,
    order: Literal["breadth", "depth"] = "breadth",
    evaluation: Literal["reward", "value", "vote"] = "reward",
    replies: Count = 3,
    beam_size: Count = 5,
    branching: Count = 5,
    threshold: Annotated[float, between(0, 1)] = 0.01,
    max_draws: Count = 100,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    aggregation: Aggregation = "prod",
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the finished solution of the highest value.

    Args:
      order: "breadth" keeps the best states of each depth; "depth" follows the best child and goes
        back where none is left.
      evaluation: "reward", by `aggregation` of the step scores; "value" and "vote", by the policy.
      replies: per question to the policy about states (3 in the paper's game of 24).
      beam_size: states kept in breadth (b); 5, and `branching` (k) 5, are the paper's.
      branching: steps drawn per state.
      threshold: states of no higher value are pruned in depth.
      max_draws: steps drawn in depth (100 in the paper's crosswords).
      temperature, top_p, aggregation, max_steps, max_step_tokens, reserve_tokens: as in `beam`.
    """
    counts = {"iterations": 0, "duplicates": 0, "unreadable": 0, "fallbacks": 0}
    sampling = Sampling(temperature, top_p, max_step_tokens)
    costs = {"replies": replies, "reserve_tokens": reserve_tokens}
    states, stop_reason = [tree.root], "budget"
    try:
        while True:
            tried = [s for s in states if not s.is_finished and s.depth < max_steps]
            if order == "depth":
                tried = tried[-1:] if counts["iterations"] + branching <= max_draws else []
            if not tried:
                stop_reason = _why_stop(tree, states, max_steps)
                break
            prefixes = [node.trajectory for node in tried]
            steps = yield [Propose(p, branching, sampling, reserve_tokens) for p in prefixes]
            counts["iterations"] += sum(map(len, steps))
            children = [c for n, new in zip(tried, steps) for c in add_steps(tree, n, new, counts)]
            others = [s for s in states if s.index not in {node.index for node in tried}]
            rivals = [*others, *children] if order == "breadth" else children
            compared = rivals if evaluation == "vote" else children
            yield from evaluate(tree, compared, counts, evaluation, aggregation, **costs)
            rivals.sort(key=_value, reverse=True)
            if order == "breadth":
                kept, others = rivals[:beam_size], []
            else:
                kept = [child for child in rivals if _value(child) > threshold]
            for rank, node in enumerate(rivals):
                tree.mark(node, "accepted" if rank < len(kept) else "dead")
            states = [*others, *kept[::-1]]  # the best, or next to be tried, stands last
    except BudgetSpent:
        pass
    found = [state for state in states if state.is_finished]
    best = max(found, key=_value) if found else states[-1] if states else tree.root
    if not found:
        best = yield from finish_greedily(tree, best, counts)
    tree.mark_path(best, "chosen")
    return Outcome(best.trajectory if best.depth else None, stop_reason, counts=counts)


def _why_stop(tree: Tree, states: Sequence[Node], max_steps: int) -> StopReason:
    """Return why nothing is tried any more."""
    if not states:
        return "budget" if tree.nodes[-1].trajectory.finish == "budget" else "exhausted"
    if any(not state.is_finished and state.depth < max_steps for state in states):
        return "iterations"
    return "finished" if any(state.is_finished for state in states) else "length"


def _value(node: Node) -> float:
    return node.value or 0.0
