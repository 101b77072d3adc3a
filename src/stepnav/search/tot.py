"""Tree of thoughts: breadth-first with the best states kept, or depth-first with pruning.

Source: Yao et al. 2023, arXiv 2305.10601, algorithms 1 (ToT-BFS) and 2 (ToT-DFS), from memory of
the paper. Thoughts are steps. States are valued one by one (sure, likely, impossible, weighed 20 :
1 : 0.001 and averaged), voted on together, or scored by a reward model, which the paper does not
have. Differs in: thoughts are independent samples, not proposed in a list; equal siblings are
merged; finished solutions keep their place in the breadth; prompts are ours; where the paper
completes the best state, we finish greedily, and only if no solution is finished; depth-first shows
siblings, not all states, to a vote, and returns the finished solution of the highest value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, between
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import Answer, conclude
from stepnav.search.evaluate import evaluate
from stepnav.search.expand import StepOptions, draw_children, keep_best, worth


def tot(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    order: Literal["breadth", "depth"] = "breadth",
    evaluation: Literal["reward", "value", "vote"] = "reward",
    replies: Count = 3,
    beam_size: Count = 5,
    branching: Count = 5,
    threshold: Annotated[float, between(0, 1)] = 0.01,
    max_draws: Count = 100,
    aggregation: Aggregation = "prod",
    answer: Answer = "best",
    max_steps: Count = 40,
    steps: StepOptions,
) -> Program:
    """Return the finished solution of the highest value, or their vote.

    Args:
      order: "breadth" keeps the best states of each depth; "depth" follows the best child and goes
        back where none is left.
      evaluation: "reward", by `aggregation` of the step scores; "value" and "vote", by the policy.
      replies: per question to the policy about states (3 in the paper's game of 24).
      beam_size: states kept in breadth (b); 5, and `branching` (k) 5, are the paper's.
      branching: steps drawn per state.
      threshold: states of no higher value are pruned in depth.
      max_draws: steps drawn in depth (100 in the paper's crosswords).
      aggregation, answer, max_steps: as in `beam`.
    """
    counts = {"iterations": 0, "duplicates": 0, "unreadable": 0, "fallbacks": 0}
    states = [tree.root]
    stop_reason: StopReason = "budget"
    try:
        while True:
            tried = [s for s in states if not s.is_finished and s.depth < max_steps]
            if order == "depth":
                tried = tried[-1:] if counts["iterations"] + branching <= max_draws else []
            if not tried:
                stop_reason = _why_stop(states, max_steps)
                break
            others = [s for s in states if s.index not in {node.index for node in tried}]
            has_solution = any(state.is_finished for state in states)
            drawn = yield from draw_children(
                tree, [(node, branching) for node in tried], steps, counts,
                has_solution=has_solution,
            )  # fmt: skip
            counts["iterations"] += sum(len(node.drawn) for node in tried)
            children = [child for some in drawn for child in some]
            is_breadth = order == "breadth"
            rivals, others = ([*others, *children], []) if is_breadth else (children, others)
            compared = rivals if evaluation == "vote" else children
            yield from evaluate(tree, compared, counts, evaluation, aggregation,
                                replies=replies,
                                reserve_tokens=steps.reserve(has_solution))  # fmt: skip
            good = sum(worth(child) > threshold for child in children)
            kept = keep_best(tree, rivals, beam_size if is_breadth else good)
            states = [*others, *kept[::-1]]  # the best, or next to be tried, stands last
    except BudgetSpent:
        pass
    found = [state for state in states if state.is_finished]
    best = states[-1] if states else tree.root
    how: Any = {"answer": answer, "stop_reason": stop_reason, "counts": counts}
    return (yield from conclude(tree, found, best, extract, **how))


def _why_stop(states: Sequence[Node], max_steps: int) -> StopReason:
    """Return why nothing is tried any more."""
    if not states:
        return "exhausted"
    if any(not state.is_finished and state.depth < max_steps for state in states):
        return "iterations"
    return "finished" if any(state.is_finished for state in states) else "length"
