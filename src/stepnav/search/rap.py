"""RAP, reasoning via planning: Monte Carlo tree search (UCT) with step-wise rewards.

Source: Hao et al. 2023, arXiv 2305.14992, section 3 and algorithm 1, from memory of the paper:
select by Q + w sqrt(ln N(parent) / N(child)), expand, follow the child of the highest reward to the
end, and back up; the Q of a step is the highest mean reward of the steps from it on, over all
iterations. The answer is that of the path with the highest mean reward, or a vote by it
(RAP-Aggregation). Rewards: the policy's own rating of a step, its likelihood, or P(+1) by a reward
model, which the paper does not have. Differs in: no world model writes states, the state is the
prefix; the likelihood of a step is that of its average token, so that it is in [0, 1]; the
self-rating is the share of replies (the paper reads the probability of "Yes"); the confidence of a
state is left out; equal siblings are merged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from stepnav.core.options import Count, at_least
from stepnav.core.outcome import StopReason
from stepnav.core.requests import BudgetSpent, Program
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import MAX_SAMPLES, Answer, conclude
from stepnav.search.evaluate import evaluate
from stepnav.search.expand import StepOptions, draw_children, live_children, worth


def rap(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    samples: Count | None = 10,
    branching: Count = 4,
    exploration: Annotated[float, at_least(0)] = 1.0,
    evaluation: Literal["reward", "rating", "likelihood"] = "reward",
    replies: Count = 3,
    answer: Answer = "best",
    max_steps: Count = 40,
    steps: StepOptions,
) -> Program:
    """Return the solution with the highest mean reward, or the answer with the highest sum of them.

    Args:
      samples: iterations; None goes on until the budget is spent.
      branching: steps drawn per node, once (d; 4 in the paper).
      exploration: weight w of the exploration term.
      evaluation: "reward", the reward model; "rating", the policy is asked; "likelihood".
      replies: per question to the policy about a step.
      answer, max_steps: as in `beam`.
    """
    counts = {"iterations": 0, "duplicates": 0, "unreadable": 0, "fallbacks": 0}
    rewards, solutions = dict[int, float](), dict[int, float]()  # by node
    stop_reason: StopReason = "finished"
    node = tree.root
    try:
        while tree.root.status != "dead" and counts["iterations"] < (samples or MAX_SAMPLES):
            node = tree.root
            while not node.is_finished and node.depth < max_steps and node.status != "dead":
                if not node.children:
                    (children,) = yield from draw_children(
                        tree, [(node, branching)], steps, counts, has_solution=bool(solutions)
                    )
                    yield from evaluate(
                        tree, children, counts, evaluation, "last",
                        replies=replies, reserve_tokens=steps.reserve(bool(solutions)),
                    )  # fmt: skip
                    rewards |= _rewards(tree, children)
                live = live_children(tree, node)
                if live:
                    node = max(live, key=partial(_bound, node, exploration))
                else:
                    tree.mark(node, "dead")
            if node.status != "dead":
                counts["iterations"] += 1
                mean = _back_up(tree, node, rewards)
                if node.is_finished:
                    solutions[node.index] = mean
        if tree.root.status == "dead":
            stop_reason = "exhausted"
    except BudgetSpent:
        stop_reason = "budget"
    for index, mean in solutions.items():
        tree.set_value(tree.nodes[index], mean, visits=tree.nodes[index].visits)
    found = [tree.nodes[index] for index in solutions]
    how: Any = {"answer": answer, "stop_reason": stop_reason, "counts": counts}
    return (yield from conclude(tree, found, node, extract, **how))


def _rewards(tree: Tree, children: Sequence[Node]) -> dict[int, float]:
    """Return the rewards of new children; a step that is not wrong need not help."""
    for child in children:
        tree.set_value(child, child.score.positive_prob if child.score else child.value)
    return {child.index: worth(child) for child in children}


def _bound(parent: Node, exploration: float, child: Node) -> float:
    """Return the upper confidence bound of a child."""
    spread = math.log(max(1, parent.visits or 0)) / max(1, child.visits or 0)
    return (child.value or 0.0) + exploration * math.sqrt(spread)


def _back_up(tree: Tree, leaf: Node, rewards: dict[int, float]) -> float:
    """Count a path in its nodes' Q and visits; return its mean reward."""
    total = mean = 0.0
    for length, node in enumerate(reversed(tree.path(leaf)), 1):
        total += rewards[node.index]
        mean = total / length
        best = max(mean, node.value or 0.0) if node.visits else mean
        tree.set_value(node, best, visits=1 + (node.visits or 0))
        tree.mark(node, "accepted")
    tree.set_value(tree.root, None, visits=1 + (tree.root.visits or 0))
    return mean
