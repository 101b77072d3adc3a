"""Particle filtering: prefixes grow side by side and are resampled by what they score.

Source: Puri et al. 2025, arXiv 2502.01618 (resampled at every step by the softmax of the aggregated
score's log-odds; the best solution is the answer), and with `entropic` Giannone et al. 2025, arXiv
2510.05825 (systematic resampling, tempered while few particles carry the weight), from the
abstracts and the authors' library its_hub. Differs in: equal prefixes are one node; a step that a
limit cuts ends its particle; without the look-ahead modulation of the second; if none ends, one
does, greedily.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Annotated

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, NumTokens, Temperature, TopP, above
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import Answer, conclude
from stepnav.search.expand import StepOptions, draw_all, rate_new, worth

_SMALL, _EARLY = 0.5, 0.5
"""Shares of the particles and of the steps below which the entropic variant tempers; theirs."""


def particle(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    seed: int,
    num_particles: Count = 8,
    balance: Annotated[float, above(0)] = 1.0,
    entropic: bool = False,
    answer: Answer = "best",
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    aggregation: Aggregation = "prod",
    max_steps: Count = 40,
    max_step_tokens: Count | None = None,
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the best solution among the particles, or their vote.

    Args:
      num_particles: prefixes kept; one that is kept twice is extended twice.
      balance: softmax temperature of the log-odds.
      entropic: temper the weights while fewer than half of the particles carry them, in the first
        half of `max_steps`, and resample systematically.
      answer: "best", the solution of the highest value; "vote", one vote a particle.
      temperature, top_p, aggregation, max_steps, max_step_tokens, reserve_tokens: as in `beam`.
    """
    counts = {"iterations": 0, "duplicates": 0, "fallbacks": 0}
    options = StepOptions(temperature, top_p, True, False, max_step_tokens, reserve_tokens)
    chance = Random(seed)
    particles, ended = [tree.root] * num_particles, list[Node]()
    stop_reason: StopReason = "length"
    try:
        for number in range(max_steps):
            copies = Counter(node.index for node in particles if not node.is_finished)
            wanted = [(tree.nodes[index], n) for index, n in copies.items()]
            draws = yield from draw_all(tree, wanted, options, counts, has_solution=bool(ended))
            ended += [node for node in draws if node.is_finished]
            moved = [node for node in particles if node.is_finished] + draws
            if not moved:
                stop_reason = "exhausted"
                break
            yield from rate_new(tree, draws, aggregation)
            values = [worth(node) for node in moved]
            shares = shares_of(values, balance)
            if entropic and number < _EARLY * max_steps:
                shares = shares_of(values, balance * tempering(shares, number / max_steps))
            particles = resample(moved, shares, num_particles, chance, is_systematic=entropic)
            for node in draws:
                tree.mark(node, "accepted" if any(node is p for p in particles) else "dead")
            if all(node.is_finished for node in particles):
                stop_reason = "finished"
                break
    except BudgetSpent:
        stop_reason = "budget"
    finished = [node for node in particles if node.is_finished] or ended
    best = max(particles, key=worth)
    return (yield from conclude(tree, finished, best, extract, answer=answer, counts=counts,
                                stop_reason=stop_reason,
                                weights=[1.0] * len(finished)))  # fmt: skip


def shares_of(values: Sequence[float], balance: float) -> list[float]:
    """Return the probability with which each particle is drawn; values are probabilities."""
    clipped = [min(max(value, 1e-7), 1 - 1e-7) for value in values]
    logits = [math.log(value / (1 - value)) / balance for value in clipped]
    weights = [math.exp(logit - max(logits)) for logit in logits]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def tempering(shares: Sequence[float], progress: float) -> float:
    """Return how much the weights are flattened: the fewer carry them, the earlier, the more.

    The share of particles that carry the weight is the effective sample size over their number.
    """
    effective = 1 / math.fsum(share**2 for share in shares) / len(shares)
    return 1.0 if effective >= _SMALL else max(1.0, (1 - progress) / effective)


def resample(
    nodes: Sequence[Node], shares: Sequence[float], n: int, chance: Random, *, is_systematic: bool
) -> list[Node]:
    """Return `n` of the nodes, drawn with replacement in proportion to their shares."""
    if not is_systematic:
        return chance.choices(nodes, shares, k=n)
    first, sums = chance.random(), [math.fsum(shares[: i + 1]) for i in range(len(shares) - 1)]
    return [nodes[sum(end <= (first + i) / n for end in sums)] for i in range(n)]
