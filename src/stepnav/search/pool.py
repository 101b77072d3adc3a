"""Persistent-pool backtracking: every prefix that was ever scored may still be extended.

Source: Tran et al. 2026, arXiv 2605.25143, from the abstract and accounts of it. "subpool" takes
the best of a random part, "power" draws in proportion to score ** power over how often the parents
were expected to be drawn in all rounds (the mixture of Karamanis and Seljak 2024, arXiv
2407.20722). Differs in: share, power, mixture, and that what "subpool" extended waits until all
were, are our reading.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace as changed
from random import Random
from typing import Annotated, Literal

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, above
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import MAX_SAMPLES, Answer, conclude
from stepnav.search.expand import StepOptions, draw_all, rate_new, worth


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
    aggregation: Aggregation = "last",
    max_steps: Count = 40,
    steps: StepOptions,
) -> Program:
    """Return the vote of the solutions found, or the best of them.

    Args:
      num_solutions: stop at so many; None goes on until the budget is spent.
      beam_size, branching: prefixes extended in a round, and steps of each; their product in
        "power".
      choice, share, power: how prefixes are chosen, see above.
      answer: "best", the solution of the highest value; "vote", each votes with its value.
      aggregation, max_steps: as in `beam`.
      steps: how steps are drawn in "subpool"; "power" draws with replacement, as published.
    """
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    is_part, chance = choice == "subpool", Random(seed)
    options = steps if is_part else changed(steps, replace=True, first_greedy=False)
    finished, extended, num_known = list[Node](), set[int](), 0
    asked: dict[int, float] = {}  # of "power": draws expected from each prefix
    stop_reason: StopReason = "finished"
    try:
        while num_solutions is None or len(finished) < num_solutions:
            waiting = [n for n in _live(tree, max_steps) if n.index not in extended]
            if not waiting and len(tree.nodes) > num_known:
                waiting, extended, num_known = _live(tree, max_steps), set(), len(tree.nodes)
            if not waiting or counts["iterations"] >= MAX_SAMPLES:
                stop_reason = "iterations" if waiting else "exhausted"
                break
            if is_part:
                chosen = best_of_part(waiting, share, beam_size, chance)
                wanted = [(node, beam_size * branching // len(chosen)) for node in chosen]
                extended |= {node.index for node in chosen}
            else:
                wanted = _draw_lots(tree, waiting, asked, power, beam_size * branching, chance)
            draws = yield from draw_all(tree, wanted, options, counts, has_solution=bool(finished))
            finished += [node for node in draws if node.is_finished]
            for node, _ in wanted:
                tree.mark(node, "accepted")
            yield from rate_new(tree, draws, aggregation)
    except BudgetSpent:
        stop_reason = "budget"
    return (yield from conclude(tree, finished, max(_live(tree, max_steps + 1), key=worth), extract,
                                answer=answer, stop_reason=stop_reason, counts=counts))  # fmt: skip


def best_of_part(nodes: list[Node], share: float, n: int, chance: Random) -> list[Node]:
    """Return the `n` nodes of the highest value in a random share of them."""
    part = sorted(nodes, key=lambda _: chance.random())[: max(n, math.ceil(share * len(nodes)))]
    return sorted(part, key=worth, reverse=True)[:n]


def _draw_lots(
    tree: Tree, nodes: list[Node], asked: dict[int, float], power: float, n: int, chance: Random
) -> list[tuple[Node, int]]:
    """Return the prefixes that `n` draws fall to, and note how many each was expected to get."""
    weights = mixture_weights(tree, nodes, asked, power)
    lots = Counter(node.index for node in chance.choices(nodes, weights, k=n))
    total = math.fsum(weights)
    for node, weight in zip(nodes, weights):
        asked[node.index] = asked.get(node.index, 0.0) + n * weight / total
    return [(tree.nodes[index], copies) for index, copies in lots.items()]


def mixture_weights(
    tree: Tree, nodes: list[Node], asked: Mapping[int, float], power: float
) -> list[float]:
    """Return score ** power of each node over what was expected to be drawn along its path."""
    base = {0: 1.0}
    for node in tree.nodes[1:]:  # parents stand before their children
        base[node.index] = base[node.parent] * (1 + node.duplicates) / asked[node.parent]
    return [base[n.index] * (worth(n) if n.depth else 1.0) ** power for n in nodes]


def _live(tree: Tree, limit: int) -> list[Node]:
    """Return the prefixes shorter than a limit that may be extended."""
    return [n for n in tree.nodes if not n.is_finished and n.status != "dead" and n.depth < limit]
