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

from collections.abc import Callable, Sequence

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import Answer, conclude
from stepnav.search.expand import (
    distinct,
    draw_all,
    live_children,
    rate,
    roll_out,
    was_cut,
    worth,
)


def beam(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    beam_size: Count = 4,
    branching: Count = 4,
    replace: bool = False,
    first_greedy: bool = True,
    wide_start: bool = False,
    lookahead: NumTokens = 0,
    answer: Answer = "best",
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    aggregation: Aggregation = "prod",
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the best scored solution in the last beam, or the vote of those of the last round.

    Args:
      tree: holds the problem, is given every proposed step.
      beam_size: prefixes kept.
      branching: proposals per kept prefix.
      replace, first_greedy: as in `hgs`.
      wide_start: whether the first round draws `beam_size` times as many.
      lookahead: steps of a greedy rollout, at whose end a proposal is scored.
      answer: "best", the beam of the highest value; "vote", each solution that was in the last
        round votes with its value.
      temperature, top_p: of each proposal.
      aggregation: how the step scores of a prefix become one number.
      max_steps: steps of the longest solution.
      max_step_tokens: limit of one step; None leaves it to the backend.
      reserve_tokens: policy tokens of the budget that are kept back to finish the best prefix
        greedily when the rest is spent, as long as there is no solution.
    """
    kept = voters = [tree.root]
    sampling = Sampling(temperature, top_p, max_step_tokens)
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "length"
    try:
        for number in range(max_steps):
            ended = [node for node in kept if node.is_finished]
            open_nodes = [node for node in kept if not node.is_finished]
            reserve = 0 if ended else reserve_tokens
            n = branching * beam_size if wide_start and not number else branching
            wanted = [(node, n if replace else n - len(node.drawn)) for node in open_nodes]
            known = [] if replace else [c for o in open_nodes for c in live_children(tree, o)]
            draws = known + (
                yield from draw_all(tree, wanted, sampling, counts, replace=replace,
                                    first_greedy=first_greedy, reserve_tokens=reserve)
            )  # fmt: skip
            children = distinct(draws)
            ends = yield from roll_out(tree, children, lookahead, sampling,
                                       replace=replace, reserve_tokens=reserve)  # fmt: skip
            yield from rate(tree, children, aggregation, ends)
            if not ended + children:
                stop_reason = "budget" if was_cut(tree) else "exhausted"
                break
            kept = _keep_best(tree, ended + children, beam_size)
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


def _keep_best(tree: Tree, rivals: Sequence[Node], beam_size: int) -> list[Node]:
    """Return the best nodes, equal ones in order of proposal, and mark what became of all."""
    ranked = sorted(rivals, key=worth, reverse=True)
    for node in ranked[:beam_size]:
        tree.mark(node, "accepted")
    for node in ranked[beam_size:]:
        tree.mark(node, "dead")
    return ranked[:beam_size]
