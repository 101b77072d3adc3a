"""AB-MCTS, adaptive branching: Thompson sampling decides whether to widen or to deepen.

Source: Inoue et al. 2025 (TreeQuest), arXiv 2503.04412, AB-MCTS-A with Beta posteriors, from memory
of the paper. At each node two arms compete, one that generates a new child there and one for all
the children that there are; if the latter wins, the children compete. An arm's posterior holds the
scores of the solutions that were found through it; the prior is Beta(1/2, 1/2), the paper's, by
`prior`. Differs in: a node of the paper is a whole answer and its child a revision of it; here a
node is a step, generating at it draws the rest of the solution from it, every step of which becomes
a node, and the score is the solution's; so what is deepened is the prefix. Equal solutions count
once each time.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from stepnav.core.aggregate import Aggregation, aggregate
from stepnav.core.options import Count, Temperature, TopP, above
from stepnav.core.outcome import Outcome
from stepnav.core.requests import BudgetSpent, Program, Sampling, complete, score
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import MAX_SAMPLES, Answer, Samples, outcome_of_vote

Arm = tuple[Literal["new", "old", "child"], int]
"""Of a node: a new solution, one of its children, itself."""


def ab_mcts(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    seed: int,
    samples: Count | None = 16,
    prior: Annotated[float, above(0)] = 0.5,
    answer: Answer = "best",
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: Count | None = None,
    aggregation: Aggregation = "prod",
) -> Program:
    """Return the solution with the highest score, or the answer with the highest sum of scores.

    Args:
      samples: solutions; None draws until the budget is spent.
      prior: each arm begins with so many successes and failures, Beta(prior, prior).
      answer: "best", the paper's; "vote", by summed scores.
      temperature, top_p, max_tokens, aggregation: as in `weighted_vote`.
    """
    sampling = Sampling(temperature, top_p, max_tokens)
    arms, drawn = _Arms(prior, random.Random(seed)), Samples()
    num_deeper = 0
    try:
        for _ in range(samples or MAX_SAMPLES):
            node = _select(tree, arms)
            num_deeper += node is not tree.root
            (solution,) = yield from complete(node.trajectory, sampling=sampling)
            leaf = tree.add_trajectory(solution) if solution.steps else node
            if not solution.is_finished:
                tree.mark(leaf, "dead")
                drawn.num_cut += 1
                continue
            drawn.trajectories.append(solution)
            scores = yield from score(solution)
            tree.add_scores(solution, scores)
            drawn.scores.append(aggregate(scores, aggregation))
            arms.observe(tree, node, leaf, drawn.scores[-1])
    except BudgetSpent:
        drawn.stop_reason = "budget"
    weights = [*drawn.scores, *[0.0] * (len(drawn.trajectories) - len(drawn.scores))]
    if answer == "vote":
        vote = outcome_of_vote(tree, drawn, extract, weights)
        return replace(vote, counts={**vote.counts, "deeper": num_deeper})
    counts = {**drawn.counts, "deeper": num_deeper}
    if not weights:
        return Outcome(None, drawn.stop_reason, counts=counts)
    chosen = drawn.trajectories[weights.index(max(weights))]
    tree.mark_path(tree.add_trajectory(chosen, is_new=False), "chosen")
    return Outcome(chosen, drawn.stop_reason, counts=counts)


class _Arms:
    """The arms at every node, and the scores of the solutions that each has found."""

    def __init__(self, prior: float, chance: random.Random) -> None:
        self._chance = chance
        self.posteriors: dict[Arm, list[float]] = defaultdict(lambda: [prior, prior])

    def sample(self, arm: Arm) -> float:
        """Return a draw from an arm's posterior."""
        return self._chance.betavariate(*self.posteriors[arm])

    def observe(self, tree: Tree, start: Node, leaf: Node, value: float) -> None:
        """Count a solution that was drawn at `start` in the arms that found it."""
        arms: list[Arm] = [
            ("new", node.index) for node in (start, *tree.path(leaf)[start.depth : -1])
        ]
        for node in tree.path(leaf):
            arms += [("old", node.parent), ("child", node.index)]
        for arm in arms:
            self.posteriors[arm][0] += value
            self.posteriors[arm][1] += 1 - value


def _select(tree: Tree, arms: _Arms) -> Node:
    """Return the node at which the next solution is drawn."""
    node = tree.root
    while True:
        children = [tree.nodes[index] for index in node.children]
        children = [c for c in children if not c.is_finished and c.status != "dead"]
        if not children or arms.sample(("new", node.index)) >= arms.sample(("old", node.index)):
            return node
        node = max(children, key=lambda child: arms.sample(("child", child.index)))
