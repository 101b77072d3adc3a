"""Step-level beam search guided by a process reward model.

Source: Snell et al. 2024, arXiv 2408.03314 ("beam search" and "lookahead search" there; "BFS-V"
elsewhere). With `beam_size` 1 it is stepwise best-of-K: the highest scored of K next steps, at
every step. As published it is
`wide_start=true:aggregation=last:answer=vote:replace=true:first_greedy=false`, with a rollout of k
steps `lookahead=k`. Differs in: siblings with equal text are merged and counted as duplicates
instead of filling the beam; finished solutions keep their place in the beam; steps that rollouts
took are proposals like others if drawn again, or, where steps are not replaced, without that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program
from stepnav.core.tree import Tree
from stepnav.search.draw import Answer, conclude
from stepnav.search.expand import (
    StepOptions,
    distinct,
    draw_all,
    keep_best,
    live_children,
    rate,
    roll_out,
    worth,
)


def beam(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    beam_size: Count = 4,
    branching: Count = 4,
    wide_start: bool = False,
    lookahead: NumTokens = 0,
    answer: Answer = "best",
    aggregation: Aggregation = "prod",
    max_steps: Count = 40,
    steps: StepOptions,
) -> Program:
    """Return the best scored solution in the last beam, or the vote of those of the last round.

    Args:
      tree: holds the problem, is given every proposed step.
      beam_size: prefixes kept.
      branching: proposals per kept prefix.
      wide_start: whether the first round draws `beam_size` times as many.
      lookahead: steps of a greedy rollout, at whose end a proposal is scored.
      answer: "best", the beam of the highest value; "vote", each solution that was in the last
        round votes with its value.
      aggregation: how the step scores of a prefix become one number.
      max_steps: steps of the longest solution.
    """
    kept = voters = [tree.root]
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "length"
    try:
        for number in range(max_steps):
            ended = [node for node in kept if node.is_finished]
            open_nodes = [node for node in kept if not node.is_finished]
            n = branching * beam_size if wide_start and not number else branching
            wanted = [(node, n if steps.replace else n - len(node.drawn)) for node in open_nodes]
            known = [] if steps.replace else [c for o in open_nodes for c in live_children(tree, o)]
            how: Any = {"options": steps, "has_solution": bool(ended)}
            draws = known + (yield from draw_all(tree, wanted, counts=counts, **how))
            children = distinct(draws)
            ends = yield from roll_out(tree, children, lookahead, **how)
            yield from rate(tree, children, aggregation, ends)
            if not ended + children:
                stop_reason = "exhausted"
                break
            kept = keep_best(tree, ended + children, beam_size)
            voters = kept if answer == "best" else ended + draws
            tree.settle(voters)
            if all(node.is_finished for node in kept):
                stop_reason = "finished"
                break
    except BudgetSpent:
        stop_reason = "budget"
    finished = [node for node in voters if node.is_finished]
    return (yield from conclude(tree, finished, max(kept, key=worth), extract, answer=answer,
                                stop_reason=stop_reason, counts=counts))  # fmt: skip
