"""How a search tree's chance to be right is shared among its nodes: what `nav` believes.

The root's chance is 1. A node's chance is shared among its children and "none of these", in
proportion to odds: a child's are what its score says of it, times its probability under the policy;
those of "none of these" are the probability of all that was not drawn. A score is evidence beside
what right steps usually get, so its log-odds count less the prior's (see `Evidence`). After a step
that is rated -1 scores are no evidence: reward models learn up to the first error (Lightman et al.
2023, arXiv 2305.20050, section 2.6), and what they say after it tells nothing.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from stepnav.core.options import at_least, between
from stepnav.core.tree import ROOT_INDEX, Node, Tree
from stepnav.core.vote import count_votes

MAX_EVIDENCE = 6.0
"""No score's log-odds count for more, either way: no reward model is surer than that."""

LEAST_VALUE = 1e-9
LEAST_CHANCE = 1e-3
"""No chance that is reported is surer than that before it is mapped."""
LEAST_LEFT = 0.02
"""What was not drawn after a node has at least this probability, until nothing is left to draw."""


MAX_LOG_ODDS = 500.0
"""Beyond it exponentials overflow."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much a step's score and its probability say: options of `nav`.

    Attributes:
      slope, offset: the log-odds for a step are `slope` * logit(value) + `offset`; to be set on dev
        problems.
      neutral: the value of a step is P(+1) + `neutral` * P(0): a neutral one brings no answer
        nearer.
      likelihood: power of a step's probability under the policy; 0 leaves it out.
      novelty: power of the probability of what was not drawn by which drawing there gains less.
    """

    slope: Annotated[float, at_least(0)] = 1.0
    offset: float = 0.8
    neutral: Annotated[float, between(0, 1)] = 0.1
    likelihood: Annotated[float, at_least(0)] = 0.5
    novelty: Annotated[float, at_least(0)] = 0.5


@dataclass(slots=True)
class Belief:
    """How a tree's chance is shared now.

    Attributes:
      tree, evidence, max_steps: as of `share_chances`.
      extract: finds a solution's answer.
      leaves: the ends of solutions and their answers.
      chances, gains: by node, as `share_chances` returns them.
      votes: chances by answer, the largest first.
    """

    tree: Tree
    evidence: Evidence
    max_steps: int
    extract: Callable[[str], str | None]
    leaves: list[tuple[Node, str | None]] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    votes: dict[str, float] = field(default_factory=dict)

    @property
    def top(self) -> float:
        """The largest chance that an answer holds."""
        return max(self.votes.values(), default=0.0)

    def add(self, nodes: Iterable[Node]) -> None:
        """Take the ends of solutions among nodes, each once."""
        known = {leaf.index for leaf, _ in self.leaves}
        ends = [node for node in nodes if node.is_finished and node.index not in known]
        self.leaves += [(node, self.extract(node.trajectory.text)) for node in ends]

    def share(self) -> None:
        """Share the chance anew."""
        self.chances, self.gains = share_chances(self.tree, self.evidence, self.max_steps)
        held = [self.chances[leaf.index] for leaf, _ in self.leaves]
        self.votes = count_votes([answer for _, answer in self.leaves], held)


def share_chances(
    tree: Tree, evidence: Evidence, max_steps: int
) -> tuple[list[float], list[float]]:
    """Return by node the chance that the right answer lies below it, and what drawing there gains.

    Gains are 0 where nothing can be drawn: after finished and cut steps, at `max_steps`, and where
    nothing is left.
    """
    size = len(tree.nodes)
    own, rests, lefts, belows = [0.0] * size, [0.0] * size, [1.0] * size, [1.0] * size
    rejected = _after_rejected(tree)
    probs = [1.0, *(_prob(tree, node) for node in tree.nodes[1:])]
    for node in reversed(tree.nodes):  # children come after their parents
        at = node.index
        if at != ROOT_INDEX and node.step.is_cut:
            continue
        if not node.is_finished:
            left = lefts[at] = max(
                LEAST_LEFT, 1.0 - math.fsum([probs[index] for index in node.children])
            )
            if not node.is_exhausted and node.depth < max_steps:
                rests[at] = left**evidence.likelihood
            belows[at] = rests[at] + math.fsum([own[index] for index in node.children])
        if at != ROOT_INDEX:
            odds = 1.0 if rejected[at] else _odds(node, evidence)
            own[at] = odds * probs[at] ** evidence.likelihood * min(belows[at], 1.0)
    chances, gains = [0.0] * size, [0.0] * size
    chances[ROOT_INDEX] = 1.0
    for node in tree.nodes:
        at = node.index
        unit = chances[at] / (belows[at] or 1.0)
        for index in node.children:
            chances[index] = unit * own[index]
        novelty = lefts[at] ** evidence.novelty if node.children else 1.0
        gains[at] = unit * rests[at] * novelty
    return chances, gains


def where_to_draw(tree: Tree, gains: Sequence[float], width: int) -> list[tuple[Node, int]]:
    """Return the nodes at which the next draws gain most, and how many steps to draw at each.

    The second draw of a wave at one node counts half, the third a third.
    """
    wanted: dict[int, int] = {}
    best = [(-gain, index) for index, gain in enumerate(gains) if gain > 0]
    heapq.heapify(best)
    for _ in range(width if best else 0):
        index = best[0][1]
        wanted[index] = wanted.get(index, 0) + 1
        heapq.heapreplace(best, (-gains[index] / (1 + wanted[index]), index))
    return [(tree.nodes[index], n) for index, n in wanted.items()]


def as_seen(prob: float, low_slope: float, high_slope: float, offset: float) -> float:
    """Return a chance as frequencies showed it to be.

    Its log-odds become low_slope * log(p) - high_slope * log(1 - p) + offset (Kull, Silva Filho and
    Flach 2017): near 0 and near 1 they rise by a slope of their own. 1, 1 and 0 leave it as it is.
    What is nearer to 0 or 1 than `LEAST_CHANCE` counts as that.
    """
    if (low_slope, high_slope, offset) == (1.0, 1.0, 0.0):
        return prob
    inside = min(max(prob, LEAST_CHANCE), 1 - LEAST_CHANCE)
    log_odds = low_slope * math.log(inside) - high_slope * math.log1p(-inside) + offset
    return 1 / (1 + math.exp(-min(max(log_odds, -MAX_LOG_ODDS), MAX_LOG_ODDS)))


def _after_rejected(tree: Tree) -> list[bool]:
    """Return by node whether a step before its own is rated -1."""
    found = [False] * len(tree.nodes)
    for node in tree.nodes:  # parents come before their children
        if node.children:
            is_rejected = node.score is not None and node.score.rating < 0
            for index in node.children:
                found[index] = is_rejected or found[node.index]
    return found


def _odds(child: Node, evidence: Evidence) -> float:
    """Return what a score says of a step; an unrated one is as good as any."""
    if child.score is None:
        return 1.0
    value = child.score.positive_prob + evidence.neutral * child.score.neutral_prob
    value = min(max(value, LEAST_VALUE), 1 - LEAST_VALUE)
    logit = math.log(value / (1 - value))
    log_odds = evidence.slope * logit + evidence.offset
    return math.exp(min(max(log_odds, -MAX_EVIDENCE), MAX_EVIDENCE))


def _prob(tree: Tree, child: Node) -> float:
    """Return a step's probability under the policy; if unknown, how often it was drawn."""
    logprob = tree.logprob(child)
    if logprob is not None:
        return math.exp(logprob)
    return (1 + child.duplicates) / (1 + max(len(tree.parent(child).drawn), 1))
