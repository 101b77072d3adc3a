"""Step-level beam search guided by a process reward model.

Source: Snell et al. 2024, arXiv 2408.03314 ("beam search" and "lookahead search" there; "BFS-V"
elsewhere). With `beam_size` 1 it is stepwise best-of-K: the highest scored of K next steps, at every
step. As published it is `wide_start=true:aggregation=last:answer=vote:replace=true:first_greedy=false`,
with lookahead of k steps `lookahead=k`; our defaults draw `branching` first steps, the greedy one first
and none twice, multiply step scores and answer with the best beam. Differs in: siblings with equal text are merged and counted as duplicates instead of
filling the beam; finished solutions keep their place in the beam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import Answer, conclude
from stepnav.search.expand import add_draws, distinct, draw_steps, rate, roll_out, worth


def beam(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    beam_size: Count = 4,
    branching: Count = 4,
    wide_start: bool = False,
    lookahead: NumTokens = 0,
    answer: Answer = "best",
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    replace: bool = False,
    first_greedy: bool = True,
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
      wide_start: whether the first round draws `beam_size` times as many.
      lookahead: steps of a greedy rollout, at whose end a proposal is scored.
      answer: "best", the beam of the highest value; "vote", each solution that was in the last round
        votes with its value.
      temperature, top_p: of each proposal.
      replace, first_greedy: as in `hgs`.
      aggregation: how the step scores of a prefix become one number.
      max_steps: steps of the longest solution.
      max_step_tokens: limit of one step; None leaves it to the backend.
      reserve_tokens: policy tokens of the budget that are kept back to finish the best prefix
        greedily when the rest is spent, as long as no beam is finished.
    """
    kept, last = [tree.root], list[Node]()
    sampling = Sampling(temperature, top_p, max_step_tokens)
    greedy = Sampling(0.0, max_tokens=max_step_tokens)
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "length"
    try:
        for number in range(max_steps):
            open_nodes = [node for node in kept if not node.is_finished]
            n = branching * (beam_size if wide_start and number == 0 else 1)
            reserve = reserve_tokens if len(open_nodes) == len(kept) else 0
            proposals = yield from draw_steps(
                [(node, n) for node in open_nodes], sampling,
                replace=replace, first_greedy=first_greedy, reserve_tokens=reserve,
            )  # fmt: skip
            counts["iterations"] += sum(map(len, proposals))
            draws = [
                child
                for node, steps in zip(open_nodes, proposals)
                for child in add_draws(tree, node, steps, counts)
            ]
            children = distinct(draws)
            ends = yield from roll_out(tree, children, lookahead, greedy, reserve)
            yield from rate(tree, children, aggregation, ends)
            rivals = [node for node in kept if node.is_finished] + children
            if not rivals:
                is_cut = any(s.finish == "budget" for steps in proposals for s in steps)
                stop_reason = "budget" if is_cut else "exhausted"
                break
            last = [node for node in kept if node.is_finished] + draws
            kept = _keep_best(tree, rivals, beam_size)
            tree.settle(kept if answer == "best" else [*kept, *last])
            if all(node.is_finished for node in kept):
                stop_reason = "finished"
                break
    except BudgetSpent:
        stop_reason = "budget"
    voters = kept if answer == "best" else last
    finished = [node for node in voters if node.is_finished]
    return (
        yield from conclude(
            tree, finished, max(kept, key=worth), extract,
            answer=answer, stop_reason=stop_reason, counts=counts,
        )
    )  # fmt: skip


def _keep_best(tree: Tree, rivals: Sequence[Node], beam_size: int) -> list[Node]:
    """Return the best nodes, equal ones in order of proposal, and mark what became of all."""
    ranked = sorted(rivals, key=worth, reverse=True)
    for node in ranked[:beam_size]:
        tree.mark(node, "accepted")
    for node in ranked[beam_size:]:
        tree.mark(node, "dead")
    return ranked[:beam_size]
