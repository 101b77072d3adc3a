"""DVTS, diverse verifier tree search: independent subtrees, each grown greedily by its best step.

Source: Beeching, Tunstall and Rush 2024, "Scaling test-time compute with open models" (Hugging
Face, search-and-learn), from its description and code. N of theirs is `num_subtrees * branching`, M
is `branching`. Differs in: a subtree ends in its best step alone, and not in all `branching` steps
of its last round; the steps of a round differ unless `replace`, and equal siblings are one node;
subtrees are grown until the budget is spent, one after the other, which for independent ones is the
same as side by side; if none ends, the last one is finished greedily.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program, Propose, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import MAX_SAMPLES, Answer, conclude
from stepnav.search.expand import add_draws, rate_new, worth


def dvts(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    num_subtrees: Count | None = 4,
    wave: Count | None = None,
    branching: Count = 4,
    replace: bool = False,
    answer: Answer = "best",
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    aggregation: Aggregation = "last",
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the best solution of independent greedy searches, or their vote.

    Args:
      num_subtrees: how many are grown; None grows more until the budget is spent.
      wave: how many are grown at once; None all, or one if `num_subtrees` is None.
      branching: steps drawn in each subtree at each depth, of which the best goes on.
      replace: draw these with replacement, as published.
      answer: "best", the solution of the highest value; "vote", each votes with its value.
      temperature, top_p, aggregation, max_steps, max_step_tokens, reserve_tokens: as in `beam`.
    """
    sampling = Sampling(temperature, top_p, max_step_tokens, None if replace else ())
    counts = {"iterations": 0, "subtrees": 0, "duplicates": 0, "fallbacks": 0}
    finished, grown = list[Node](), [tree.root]
    stop_reason: StopReason = "finished"
    left = MAX_SAMPLES if num_subtrees is None else num_subtrees
    wave = wave or (1 if num_subtrees is None else num_subtrees)
    try:
        while left:
            grown = [tree.root] * min(wave, left)
            counts["subtrees"] += len(grown)
            left -= len(grown)
            for _ in range(max_steps):
                reserve = 0 if finished else reserve_tokens
                steps = yield [Propose(n.trajectory, branching, sampling, reserve) for n in grown]
                counts["iterations"] += sum(map(len, steps))
                draws = [add_draws(tree, node, new, counts) for node, new in zip(grown, steps)]
                yield from rate_new(tree, [c for own in draws for c in own], aggregation)
                chosen = _choose(tree, draws)
                finished += [child for child in chosen if child.is_finished]
                if all(child.is_finished for child in chosen):
                    break
                grown = [child for child in chosen if not child.is_finished]
    except BudgetSpent:
        stop_reason = "budget"
    if not finished and stop_reason == "finished":
        stop_reason = "exhausted" if all(node.depth < max_steps for node in grown) else "length"
    return (yield from conclude(tree, finished, max(grown, key=worth), extract, answer=answer,
                                stop_reason=stop_reason, counts=counts))  # fmt: skip


def _choose(tree: Tree, draws: list[list[Node]]) -> list[Node]:
    """Return the best child of each subtree that has one, and mark what became of all."""
    chosen = [max(children, key=worth) for children in draws if children]
    for child in (child for children in draws for child in children):
        if child.status == "open":
            tree.mark(child, "dead")
    for child in chosen:
        tree.mark(child, "accepted")
    return chosen
