"""Nav: one persistent tree in which siblings compete, drawn where that is most likely to pay.

Each node shares its chance of leading to a right answer, V, among its children and what has not been
drawn yet ("none of these"), in proportion to the odds that the reward model's score gives a step and
to the step's probability under the policy. Nothing is ever dead: a bad score late in a solution
raises the share of the siblings of every step before it. The search draws at the node where most of
V is not drawn yet, and stops when one answer holds enough of it.

Ours. Near it: best-first search by value (`astar`), a pool of prefixes that only grows (`pool`),
stopping by the posterior of the leading answer (adaptive consistency, Aggarwal et al. 2023).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from stepnav.core.options import Count, NumTokens, Temperature, TopP, at_least, between
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.requests import BudgetSpent, Program, Sampling, score
from stepnav.core.tree import Node, Tree
from stepnav.core.vote import count_votes
from stepnav.search.draw import finish_greedily
from stepnav.search.expand import draw_children, rate

MOST = 6.0
"""No step's log-odds count for more than this: a reward model is never surer."""

LEAST_LEFT = 0.02
"""What has not been drawn after a node has at least this probability."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much a step's score and probability say.

    Attributes:
      slope, offset: the log-odds for a step are `slope` * logit(value) + `offset`.
      likelihood: power of a step's probability under the policy.
      novelty: power by which what is left to draw after a node counts less, the less it is.
    """

    slope: float
    offset: float
    likelihood: float
    novelty: float
    max_steps: int


def nav(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    width: Count = 1,
    max_draws: Count = 400,
    max_steps: Count = 40,
    stop: Annotated[float, between(0, 1)] = 0.5,
    slope: Annotated[float, at_least(0)] = 1.0,
    offset: float = 0.8,
    likelihood: Annotated[float, at_least(0)] = 1.0,
    novelty: Annotated[float, at_least(0)] = 0.5,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_step_tokens: Count | None = None,
    replace: bool = False,
    first_greedy: bool = True,
    final: Literal["mass", "product"] = "product",
    reserve_tokens: NumTokens = 0,
) -> Program:
    """Return the answer that holds the largest share of the chance to be right."""
    evidence = Evidence(slope, offset, likelihood, novelty, max_steps)
    sampling = Sampling(temperature, top_p, max_step_tokens)
    counts = {"draws": 0, "duplicates": 0, "fallbacks": 0}
    stop_reason: StopReason = "iterations"
    leaves: list[tuple[Node, str | None]] = []
    chances, gains = share_chances(tree, evidence)
    try:
        while counts["draws"] < max_draws:
            wanted = where_to_draw(tree, gains, min(width, max_draws - counts["draws"]))
            if not wanted:
                stop_reason = "exhausted"
                break
            counts["draws"] += sum(n for _, n in wanted)
            drawn = yield from draw_children(
                tree, wanted, sampling, counts,
                replace=replace, first_greedy=first_greedy, reserve_tokens=reserve_tokens,
            )
            children = [child for some in drawn for child in some]
            yield from rate(tree, children)
            leaves += [(c, extract(c.trajectory.text)) for c in children if c.is_finished]
            chances, gains = share_chances(tree, evidence)
            if max(masses(leaves, chances).values(), default=0.0) >= stop:
                stop_reason = "accepted"
                break
    except BudgetSpent:
        stop_reason = "budget"
    if stop_reason != "accepted":
        best = max(tree.nodes, key=lambda n: 0.0 if n.is_finished or is_cut(n) else chances[n.index])
        if chances[best.index] > max(masses(leaves, chances).values(), default=0.0):
            leaf = yield from finish_greedily(tree, best, counts)
            if leaf.is_finished and leaf.score is None:
                try:
                    scores = yield from score(leaf.trajectory)
                    tree.add_scores(leaf.trajectory, scores)
                except BudgetSpent:
                    pass
                leaves.append((leaf, extract(leaf.trajectory.text)))
            chances, gains = share_chances(tree, evidence)
    votes = masses(leaves, chances)
    if final == "product" and stop_reason != "accepted":
        votes = dict(sorted(products(tree, leaves).items(), key=lambda x: -x[1]))
    if not votes:
        best = max(tree.nodes, key=lambda n: (n.is_finished, chances[n.index]))
        return Outcome(best.trajectory if best.depth else None, stop_reason, counts=counts)
    answer = next(iter(votes))
    chosen = max((leaf for leaf, given in leaves if given == answer), key=lambda n: chances[n.index])
    tree.mark_path(chosen, "chosen")
    return Outcome(chosen.trajectory, stop_reason, answer, counts, votes)


def products(tree, leaves):
    found = {}
    for leaf, answer in leaves:
        if answer is not None:
            p = 1.0
            for node in tree.path(leaf):
                v = node.score.value if node.score else 0.5
                p *= 1 / (1 + math.exp(-(0.5 * logit(v) + 2)))
            found[answer] = found.get(answer, 0.0) + p
    return found


def is_cut(node: Node) -> bool:
    return bool(node.depth) and node.step.is_cut


def logit(p: float) -> float:
    p = min(max(p, 1e-9), 1 - 1e-9)
    return math.log(p / (1 - p))


def masses(leaves: Sequence[tuple[Node, str | None]], chances: Sequence[float]) -> dict[str, float]:
    """Return answer -> its share of the chance, largest first."""
    return count_votes([answer for _, answer in leaves], [chances[leaf.index] for leaf, _ in leaves])


def share_chances(tree: Tree, evidence: Evidence) -> tuple[list[float], list[float]]:
    """Return, by node, its chance to lead to a right answer, and the gain of drawing after it."""
    chances = [0.0] * len(tree.nodes)
    gains = [0.0] * len(tree.nodes)
    chances[0] = 1.0
    for node in tree.nodes:
        if node.is_finished or is_cut(node):
            continue
        chance = chances[node.index]
        children = [tree.nodes[i] for i in node.children]
        probs = [step_prob(child) for child in children]
        left = max(LEAST_LEFT, 1.0 - sum(probs))
        if node.is_exhausted or node.depth >= evidence.max_steps:
            left = 0.0
        odds = [
            odds_of(child, evidence) * prob**evidence.likelihood
            for child, prob in zip(children, probs)
        ]
        rest = left**evidence.likelihood if left else 0.0
        total = rest + sum(odds)
        gains[node.index] = chance * left**evidence.novelty * (rest / total if total else 0.0)
        if not children:
            gains[node.index] = chance if left else 0.0
        for child, own in zip(children, odds):
            chances[child.index] = chance * own / total if total else 0.0
    return chances, gains


def odds_of(child: Node, evidence: Evidence) -> float:
    if is_cut(child):
        return 0.0
    v = 0.5 if child.score is None else child.score.value
    return math.exp(min(max(evidence.slope * logit(v) + evidence.offset, -MOST), MOST))


def step_prob(child: Node) -> float:
    return math.exp(child.step.logprob) if child.step.logprob is not None else 0.1


def where_to_draw(tree: Tree, gains: Sequence[float], width: int) -> list[tuple[Node, int]]:
    """Return the nodes where the next draws are most likely to pay, and how many each."""
    wanted: dict[int, int] = {}
    heap = [(-gain, index) for index, gain in enumerate(gains) if gain > 0]
    heapq.heapify(heap)
    for _ in range(width):
        if not heap:
            break
        gain, index = heap[0]
        wanted[index] = wanted.get(index, 0) + 1
        heapq.heapreplace(heap, (-gains[index] / (1 + wanted[index]), index))
    return [(tree.nodes[index], n) for index, n in wanted.items()]
