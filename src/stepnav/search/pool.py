"""Persistent-pool backtracking: every prefix that was ever scored may still be extended.

Source: Tran et al. 2026, arXiv 2605.25143, of which the abstract and accounts were at hand. Two
choices: "subpool", the best of a random part of the pool, so that an over-scored prefix does not
always win; "power", prefixes drawn in proportion to `score ** power` over the sum, of all rounds, of
the probabilities with which their parent was drawn (the mixture that proposed them; in the manner of
Karamanis and Seljak 2024, arXiv 2407.20722), so that a prefix is not favoured for having been drawn
often. Differs in: the shares, the power, and that in "subpool" a prefix leaves the pool when it is
extended, are our reading; the search stops at a number of solutions; if none ends, one does, greedily.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from random import Random
from typing import Annotated, Literal

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP, above
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program, Propose, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import MAX_SAMPLES, Answer, conclude
from stepnav.search.expand import add_draws, distinct, rate


def pool(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    seed: int,
    num_solutions: Count | None = 4,
    beam_size: Count = 2,
    branching: Count = 4,
    choice: Literal["subpool", "power"] = "subpool",
    share: Annotated[float, above(0, up_to=1)] = 0.5,
    power: Annotated[float, above(0)] = 2.0,
    answer: Answer = "vote",
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    aggregation: Aggregation = "last",
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the vote of the solutions found, or the best of them.

    Args:
      num_solutions: stop at so many; None goes on until the budget is spent.
      beam_size, branching: prefixes extended in a round, and steps drawn from each; with "power"
        their product is drawn, each from a prefix of its own lot.
      choice: how prefixes are chosen.
      share: part of the pool among which "subpool" chooses.
      power: of the scores in "power".
      answer: "best", the solution of the highest value; "vote", each votes with its value.
      temperature, top_p, aggregation, max_steps, max_step_tokens: as in `beam`.
      reserve_tokens: as in `beam`, as long as there is no solution.
    """
    sampling = Sampling(temperature, top_p, max_step_tokens)
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    chance = Random(seed)
    open_nodes, finished = [tree.root], list[Node]()
    asked: dict[int, float] = defaultdict(float)  # of "power": draws expected from each prefix
    stop_reason: StopReason = "finished"
    try:
        while num_solutions is None or len(finished) < num_solutions:
            if not open_nodes or counts["iterations"] >= MAX_SAMPLES:
                stop_reason = "iterations" if open_nodes else "exhausted"
                break
            if choice == "subpool":
                size = max(beam_size, math.ceil(share * len(open_nodes)))
                part = sorted(open_nodes, key=lambda _: chance.random())[:size]
                chosen = sorted(part, key=_value, reverse=True)[:beam_size]
                copies = {n.index: beam_size * branching // len(chosen) for n in chosen}
                open_nodes = [n for n in open_nodes if n.index not in copies]
            else:
                weights = mixture_weights(tree, open_nodes, asked, power)
                lots = chance.choices(open_nodes, weights, k=beam_size * branching)
                copies = Counter(node.index for node in lots)
                for node, weight in zip(open_nodes, weights):
                    asked[node.index] += len(lots) * weight / sum(weights)
            parents = [tree.nodes[index] for index in copies]
            for node in parents:
                tree.mark(node, "accepted")
            reserve = 0 if finished else reserve_tokens
            steps = yield [Propose(n.trajectory, copies[n.index], sampling, reserve)
                           for n in parents]  # fmt: skip
            counts["iterations"] += sum(map(len, steps))
            draws = [c for n, new in zip(parents, steps) for c in add_draws(tree, n, new, counts)]
            finished += [node for node in draws if node.is_finished]
            new = distinct([node for node in draws if node.value is None])
            yield from rate(tree, new, aggregation)
            open_nodes += [n for n in new if not n.is_finished and n.depth < max_steps]
    except BudgetSpent:
        stop_reason = "budget"
    live = [n for n in tree.nodes if not n.is_finished and n.status != "dead"]
    return (yield from conclude(tree, finished, max(live, key=_value), extract, answer=answer,
                                stop_reason=stop_reason, counts=counts))  # fmt: skip


def mixture_weights(
    tree: Tree, nodes: list[Node], asked: Mapping[int, float], power: float
) -> list[float]:
    """Return score ** power of each node over what was expected to be drawn along its path."""
    base = {0: 1.0}
    for node in tree.nodes[1:]:  # parents stand before their children
        base[node.index] = base[node.parent] * (1 + node.duplicates) / asked[node.parent]
    return [base[n.index] * (_value(n) if n.depth else 1.0) ** power for n in nodes]


def _value(node: Node) -> float:
    return node.value or 0.0
