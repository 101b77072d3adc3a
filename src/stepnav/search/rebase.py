"""REBASE, reward balanced search: at each depth the better prefixes get more of the draws.

Source: Wu et al. 2024, arXiv 2408.00724. Differs in: shares are rounded so that they add up; equal
siblings are one node that counts as often as drawn; if no solution is finished, one is, greedily.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP, above
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import conclude
from stepnav.search.expand import StepOptions, add_steps, draw_steps, rate, worth


def rebase(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    width: Count = 16,
    balance: Annotated[float, above(0)] = 0.1,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    replace: bool = False,
    first_greedy: bool = True,
    aggregation: Aggregation = "last",
    max_steps: Count = 40,
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the answer with the highest summed value among the finished solutions.

    Args:
      width: draws at each depth, less the solutions that are finished.
      balance: softmax temperature of values; near 0 the best prefix gets all draws. 0.1 is ours.
      temperature, top_p, replace, first_greedy, aggregation, max_steps, reserve_tokens: as in
        `beam`.
    """
    options = StepOptions(temperature, top_p, replace, first_greedy, None, reserve_tokens)
    leaves, voters, counts = [tree.root], list[Node](), {"duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "length"
    try:
        for _ in range(max_steps):
            values = [worth(node) for node in leaves]
            copies = [1 + node.duplicates for node in leaves]
            shares = split_draws(width - len(voters), values, copies, balance)
            asked = [(node, share) for node, share in zip(leaves, shares) if share]
            steps = yield from draw_steps(asked, options, has_solution=bool(voters))
            children = [c for (n, _), s in zip(asked, steps) for c in add_steps(tree, n, s, counts)]
            voters += [c for c in children if c.is_finished for _ in range(1 + c.duplicates)]
            for node, share in zip(leaves, shares):
                tree.mark(node, "accepted" if share else "dead")
            yield from rate(tree, children, aggregation)
            if all(child.is_finished for child in children):
                stop_reason = "finished" if voters else "exhausted"
                break
            leaves = [child for child in children if not child.is_finished]
            tree.settle([*leaves, *voters])
    except BudgetSpent:
        stop_reason = "budget"
    best = max(leaves, key=worth)
    return (
        yield from conclude(
            tree, voters, best, extract, answer="vote", stop_reason=stop_reason, counts=counts
        )
    )


def split_draws(draws: int, values: list[float], copies: list[int], balance: float) -> list[int]:
    """Return each prefix's share of the draws; equal remainders go to those proposed first."""
    weights = [n * math.exp((v - max(values)) / balance) for v, n in zip(values, copies)]
    total = math.fsum(weights)
    exact = [draws * weight / total for weight in weights]
    shares = [int(share) for share in exact]
    for i in sorted(range(len(exact)), key=lambda j: shares[j] - exact[j])[: draws - sum(shares)]:
        shares[i] += 1
    return shares
