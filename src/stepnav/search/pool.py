"""Persistent-pool backtracking: every prefix that was ever scored may still be extended.

Source: Tran et al. 2026, arXiv 2605.25143, from the abstract and accounts of it. "subpool" takes the
best of a random part of the pool, so that an over-scored prefix does not always win; "power" draws
prefixes in proportion to score ** power over the mixture that proposed them: how often, in all rounds,
their parents were expected to be drawn. Differs in (our reading of what the abstract leaves open): the
share and the power; a prefix that "subpool" extended waits until all were; the mixture is that of
Karamanis and Seljak 2024, arXiv 2407.20722; the search ends at a number of solutions.
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
from stepnav.search.expand import add_draws, distinct, rate, worth


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
      beam_size, branching: prefixes extended in a round, and steps drawn from each; "power" draws a
        prefix for each of these steps.
      choice, share, power: how prefixes are chosen, see above.
      answer: "best", the solution of the highest value; "vote", each votes with its value.
      temperature, top_p, aggregation, max_steps, max_step_tokens: as in `beam`.
      reserve_tokens: as in `beam`, as long as there is no solution.
    """
    sampling = Sampling(temperature, top_p, max_step_tokens)
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    chance = Random(seed)
    open_nodes, finished, num_known = list[Node](), list[Node](), 0
    asked: dict[int, float] = defaultdict(float)  # of "power": draws expected from each prefix
    stop_reason: StopReason = "finished"
    try:
        while num_solutions is None or len(finished) < num_solutions:
            if not open_nodes and len(tree.nodes) > num_known:
                open_nodes, num_known = _live(tree, max_steps), len(tree.nodes)
            if not open_nodes or counts["iterations"] >= MAX_SAMPLES:
                stop_reason = "iterations" if open_nodes else "exhausted"
                break
            if choice == "subpool":
                chosen = best_of_part(open_nodes, share, beam_size, chance)
                copies = {n.index: beam_size * branching // len(chosen) for n in chosen}
                open_nodes = [n for n in open_nodes if n.index not in copies]
            else:
                weights = mixture_weights(tree, open_nodes, asked, power)
                lots = chance.choices(open_nodes, weights, k=beam_size * branching)
                copies = dict(Counter(node.index for node in lots))
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
    best = max(_live(tree, max_steps + 1), key=worth)
    return (yield from conclude(tree, finished, best, extract, answer=answer,
                                stop_reason=stop_reason, counts=counts))  # fmt: skip


def best_of_part(nodes: list[Node], share: float, n: int, chance: Random) -> list[Node]:
    """Return the `n` nodes of the highest value in a random share of them."""
    part = sorted(nodes, key=lambda _: chance.random())[: max(n, math.ceil(share * len(nodes)))]
    return sorted(part, key=worth, reverse=True)[:n]


def mixture_weights(
    tree: Tree, nodes: list[Node], asked: Mapping[int, float], power: float
) -> list[float]:
    """Return score ** power of each node over what was expected to be drawn along its path."""
    base = {0: 1.0}
    for node in tree.nodes[1:]:  # parents stand before their children
        base[node.index] = base[node.parent] * (1 + node.duplicates) / asked[node.parent]
    return [base[n.index] * (worth(n) if n.depth else 1.0) ** power for n in nodes]


def _live(tree: Tree, max_depth: int) -> list[Node]:
    """Return the prefixes that may be extended."""
    alive = [node for node in tree.nodes if not node.is_finished and node.status != "dead"]
    return [node for node in alive if node.depth < max_depth]
