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
from stepnav.core.options import Count, NumTokens, Temperature, TopP, between
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import Answer, conclude
from stepnav.search.evaluate import evaluate
from stepnav.search.expand import draw_children


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
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    replace: bool = False,
    first_greedy: bool = True,
    aggregation: Aggregation = "prod",
    answer: Answer = "best",
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
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
      replace, first_greedy: as in `hgs`; the paper draws with replacement.
      temperature, top_p, aggregation, answer, max_steps, max_step_tokens, reserve_tokens: as in
        `beam`.
    """
    counts = {"iterations": 0, "duplicates": 0, "unreadable": 0, "fallbacks": 0}
    sampling = Sampling(temperature, top_p, max_step_tokens)
    costs = {"replies": replies, "reserve_tokens": reserve_tokens}
    states = [tree.root]
    stop_reason: StopReason = "budget"
    try:
        while True:
            tried = [s for s in states if not s.is_finished and s.depth < max_steps]
            if order == "depth":
                tried = tried[-1:] if counts["iterations"] + branching <= max_draws else []
            if not tried:
                stop_reason = _why_stop(tree, states, max_steps)
                break
            others = [s for s in states if s.index not in {node.index for node in tried}]
            costs["reserve_tokens"] = 0 if any(s.is_finished for s in states) else reserve_tokens
            drawn = yield from draw_children(
                tree, [(node, branching) for node in tried], sampling, counts,
                replace=replace, first_greedy=first_greedy, reserve_tokens=costs["reserve_tokens"],
            )  # fmt: skip
            counts["iterations"] += sum(len(node.drawn) for node in tried)
            children = [child for some in drawn for child in some]
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
    best = states[-1] if states else tree.root
    how: Any = {"answer": answer, "stop_reason": stop_reason, "counts": counts}
    return (yield from conclude(tree, found, best, extract, **how))


def _why_stop(tree: Tree, states: Sequence[Node], max_steps: int) -> StopReason:
    """Return why nothing is tried any more."""
    if not states:
        return "budget" if tree.nodes[-1].trajectory.finish == "budget" else "exhausted"
    if any(not state.is_finished and state.depth < max_steps for state in states):
        return "iterations"
    return "finished" if any(state.is_finished for state in states) else "length"


def _value(node: Node) -> float:
    return node.value or 0.0
