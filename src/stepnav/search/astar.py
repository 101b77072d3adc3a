"""A*: the prefix most promising by its value and by what finishing it costs is continued.

Source: Hart, Nilsson and Raphael 1968; continuing a prefix more than once, Yoshizumi et al. 2000. A
prefix is worth the product of its step values, times what a step usually is worth for each to come,
times the probability of steps not drawn yet, times the share of the cost that the policy tokens
left would pay. `index` "gittins" is that of arXiv 2510.20272, from its abstract, by Weitzman's rule
(1979): a box that holds v with chance q and costs c to open is worth v - c / q. The search stops
when a solution is the best. Differs in: h is an average of this search, and counts lengths in
P(+1): an idle step is no progress.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Annotated, Any, Literal

from stepnav.core.options import Count, above
from stepnav.core.outcome import StopReason
from stepnav.core.records import Step
from stepnav.core.requests import BudgetSpent, Program
from stepnav.core.tree import ROOT_INDEX, Node, Tree
from stepnav.search.draw import conclude
from stepnav.search.expand import StepOptions, draw_children, rate, undrawn_prob


def astar(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    index: Literal["value", "gittins"] = "value",
    branching: Count = 4,
    horizon: Count = 8,
    token_price: Annotated[float, above(0)] = 0.0005,
    max_draws: Count = 400,
    max_steps: Count = 40,
    budget_tokens: Count | None = None,
    steps: StepOptions,
) -> Program:
    """Return the first finished solution that is the most promising of all.

    Args:
      index, branching: what is continued first, see above, and by how many steps.
      horizon: steps of a solution, until one is finished; then the mean of the finished ones.
      token_price: of "gittins", the probability of being right that a policy token must be worth.
      max_draws, budget_tokens: limit of steps; policy tokens of the budget, None for no limit.
      max_steps: as in `beam`.
    """
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    limit = math.inf if budget_tokens is None else budget_tokens - steps.reserve_tokens
    usual, waiting = _Usual(index, horizon, branching, token_price, limit), [tree.root]
    stop_reason: StopReason = "iterations"
    try:
        while counts["iterations"] + branching <= max_draws:
            waiting.sort(key=usual.rank)
            if not waiting or waiting[-1].is_finished:
                stop_reason = "finished" if waiting else "exhausted"
                break
            tree.mark(node := waiting[-1], "accepted")
            before = len(node.drawn)
            (children,) = yield from draw_children(
                tree, [(node, branching)], steps, counts,
                has_solution=any(n.is_finished for n in waiting),
            )  # fmt: skip
            counts["iterations"] += len(node.drawn) - before
            yield from rate(tree, children, "prod")
            usual.note(node, node.drawn[before:], children)
            new = [child for child in children if child.is_finished or child.depth < max_steps]
            waiting = [other for other in [*waiting, *new] if not other.is_exhausted]
    except BudgetSpent:
        stop_reason = "budget"
    found = [node for node in waiting if node.is_finished]
    how: Any = {"answer": "best", "stop_reason": stop_reason, "counts": counts}
    return (yield from conclude(tree, found, (waiting or [tree.root])[-1], extract, **how))


@dataclass(slots=True)
class _Usual:
    """How prefixes rank by what this search has seen: lengths of solutions, values, tokens."""

    index: str
    horizon: int
    branching: int
    token_price: float
    max_tokens: float
    lengths: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    helpful: dict[int, float] = field(default_factory=lambda: {ROOT_INDEX: 0.0})

    def note(self, node: Node, steps: Sequence[Step], children: Sequence[Node]) -> None:
        """Take in the steps just drawn at a node, and its rated children."""
        self.tokens += [step.num_tokens for step in steps]
        scores = {child.index: child.score for child in children if child.score}
        self.values += [max(s.value for s in scores.values())] if scores else []
        so_far = self.helpful[node.index]
        self.helpful |= {i: so_far + score.positive_prob for i, score in scores.items()}
        self.lengths += [self.helpful[child.index] for child in children if child.is_finished]

    def rank(self, node: Node) -> tuple[float, int]:
        """Return the key by which prefixes are sorted, the most promising last."""
        value = 1.0 if node.value is None else node.value
        if node.is_finished:
            return value, -node.index
        steps = max(1.0, fmean(self.lengths or [self.horizon]) - self.helpful[node.index])
        cost = steps * self.branching * fmean(self.tokens or [0])
        chance = fmean(self.values or [1.0]) ** steps * undrawn_prob(node)
        if cost:
            chance *= min(1.0, max(0.0, self.max_tokens - sum(self.tokens)) / cost)
        fee = self.token_price * cost / chance if chance else math.inf
        return value * chance if self.index == "value" else value - fee, -node.index
