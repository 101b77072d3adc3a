"""A*: the most promising prefix of all is continued next, by its value and by what finishing it costs.

Source: Hart, Nilsson and Raphael 1968; over steps of reasoning as in best-first searches with a reward
model. A prefix is worth the product of its step values, times what a step usually is worth for each step
that is still to come (f = g + h in logarithms). Where the policy tokens left would not pay for
those steps, it comes after all that they pay for. With `index` "gittins", the index of arXiv 2510.20272,
worked out from its abstract by Weitzman's rule (1979) for a box that holds 1 with probability p and costs
c to open: 1 - c / p, where c is the price of the tokens to come. A finished solution's index is
its value, so that the search stops when the best one found exceeds all indices.
Differs in: h is an average of this search, so it may overestimate, and the first solution taken
need not be the best of all; equal siblings are merged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Annotated, Literal

from stepnav.core.options import Count, NumTokens, Temperature, TopP, above
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.records import Step
from stepnav.core.requests import BudgetSpent, Program, Propose, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import finish_greedily
from stepnav.search.expand import add_steps, rate

Index = Literal["value", "gittins"]
Rank = tuple[bool, float, int]


def astar(
    tree: Tree,
    *,
    index: Index = "value",
    branching: Count = 4,
    horizon: Count = 8,
    token_price: Annotated[float, above(0)] = 0.0005,
    max_draws: Count = 400,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    budget_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the first finished solution that is the most promising of all.

    Args:
      index: what is continued first, see above.
      branching: steps drawn when a prefix is continued.
      horizon: steps of a solution, until one is finished; then the mean of the finished ones.
      token_price: of "gittins", the probability of being right that a policy token must be worth.
      max_draws: steps drawn in all.
      budget_tokens: policy tokens that the search may spend, None for no limit.
      temperature, top_p, max_steps, max_step_tokens, reserve_tokens: as in `beam`.
    """
    sampling = Sampling(temperature, top_p, max_step_tokens)
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    usual, waiting = _Usual(horizon, branching), [tree.root]
    stop_reason: StopReason = "iterations"
    try:
        while counts["iterations"] + branching <= max_draws:
            tokens_left = math.inf if budget_tokens is None else budget_tokens - sum(usual.tokens)
            tokens_left -= reserve_tokens
            waiting.sort(
                key=lambda node, left=tokens_left: usual.rank(node, index, token_price, left)
            )
            if not waiting or waiting[-1].is_finished:
                stop_reason = "finished" if waiting else "exhausted"
                break
            node = waiting[-1]
            tree.mark(node, "accepted")
            (steps,) = yield [Propose(node.trajectory, branching, sampling, reserve_tokens)]
            counts["iterations"] += len(steps)
            children = add_steps(tree, node, steps, counts)
            yield from rate(tree, children, "prod")
            waiting.pop()
            waiting += [c for c in children if c.is_finished or c.depth < max_steps]
            usual.note(steps, children)
    except BudgetSpent:
        stop_reason = "budget"
    found = [node for node in waiting if node.is_finished]
    best = max(found, key=lambda node: node.value or 0.0) if found else (waiting or [tree.root])[-1]
    if not found:
        best = yield from finish_greedily(tree, best, counts)
    tree.mark_path(best, "chosen")
    return Outcome(best.trajectory if best.depth else None, stop_reason, counts=counts)


@dataclass(slots=True)
class _Usual:
    """What this search has seen so far: lengths of solutions, values and tokens of steps."""

    horizon: int
    branching: int
    depths: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    def note(self, steps: Sequence[Step], children: Sequence[Node]) -> None:
        """Take in the steps drawn at a node, and its rated children."""
        self.tokens += [step.num_tokens for step in steps]
        self.depths += [child.depth for child in children if child.is_finished]
        if children:  # the best of them is what the search goes on from
            self.values.append(max(child.score.value for child in children if child.score))

    def rank(self, node: Node, index: Index, token_price: float, tokens_left: float) -> Rank:
        """Return the key by which prefixes are sorted, the most promising last."""
        value = 1.0 if node.value is None else node.value
        if node.is_finished:
            return True, value, -node.index
        steps = max(1.0, (fmean(self.depths) if self.depths else self.horizon) - node.depth)
        cost = steps * self.branching * (fmean(self.tokens) if self.tokens else 0.0)
        value *= (fmean(self.values) if self.values else 1.0) ** steps
        if index == "gittins":
            value = 1 - token_price * cost / value if value else -math.inf
        return cost <= tokens_left, value, -node.index
