"""Heuristic greedy search with backtracking (HGS-PRM).

Source: Ma et al. 2023, "Let's reward step by step", arXiv 2310.10080. The paper gives
the rule in words: keep a positive step, remember a neutral one, drop a negative one, go back when
all children are spent. It says neither how many children and iterations there are, nor how neutral
steps rank, nor what happens when nothing is accepted; `ARCHITECTURE.md` writes out the reading that
stands here. Settings of the paper: temperature 0.1 (math) and 0.2 (code), steps split at newlines.
Differs in: by default the first step after a prefix is the greedy one, and none is drawn twice;
with a temperature of 0.5 what is likely comes first, and nothing is lost. As published it is
`replace=true:first_greedy=false`, whose siblings are mostly duplicates at the paper's temperatures.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Literal

from stepnav.core.options import Count
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.requests import BudgetSpent, Clipped, Program, Request, complete, score
from stepnav.core.tree import Node, Tree
from stepnav.search.draw import fall_back
from stepnav.search.expand import StepOptions, add_steps, draw_children

NeutralOrder = Literal["positive", "value", "first"]
Fallback = Literal["path", "root", "none"]
Proposal = Literal["step", "path"]


def hgs(
    tree: Tree,
    *,
    branching: Count = 8,
    max_draws: Count = 100,
    neutral_order: NeutralOrder = "positive",
    fallback: Fallback = "path",
    proposal: Proposal = "step",
    steps: StepOptions = StepOptions(temperature=0.5),
) -> Program:
    """Return the first solution whose steps the reward model all keeps.

    Args:
      tree: holds the problem, is given every proposed step.
      branching: steps drawn per node, duplicates included (K).
      max_draws: steps drawn in all (N).
      neutral_order: which neutral step is tried first: "positive", the highest P(+1); "value", the
        lowest P(-1); "first", the order of drawing.
      fallback: when nothing was accepted, finish greedily and without rating: "path", from the
        deepest live node of the current path; "root", from the question; "none", not at all.
      proposal: what is generated per draw: "step", stopped at the step boundary; "path", the whole
        rest of the solution, of which only the first step is used. The tree is the same on a
        backend whose draws depend on the seed alone; the difference in tokens is what stopping
        saves.
    """
    node = tree.root
    draw = _draw_step if proposal == "step" else _draw_path
    counts = {"iterations": 0, "backtracks": 0, "duplicates": 0, "neutral": 0, "fallbacks": 0}
    stop_reason: StopReason = "iterations"
    try:
        while True:
            if len(node.drawn) < branching and not node.is_exhausted:
                if counts["iterations"] == max_draws:
                    break
                counts["iterations"] += 1
                children = yield from draw(tree, node, steps, counts)
                yield from _judge(tree, children)
                if not children or children[0].status != "accepted":
                    continue
                child = children[0]
            else:
                candidate = _best_neutral(tree, node, neutral_order)
                if candidate is None:
                    if node is tree.root:
                        stop_reason = "exhausted"
                        break
                    tree.mark(node, "dead")
                    node = tree.parent(node)
                    counts["backtracks"] += 1
                    continue
                child = candidate
                tree.mark(child, "accepted")
                counts["neutral"] += 1
            node = child
            if node.is_finished:
                tree.mark_path(node, "chosen")
                return Outcome(node.trajectory, "accepted", counts=counts)
    except BudgetSpent:
        stop_reason = "budget"
    if fallback != "none":
        node = yield from fall_back(tree, tree.root if fallback == "root" else node, counts)
    tree.mark_path(node, "chosen")
    return Outcome(node.trajectory if node.depth else None, stop_reason, counts=counts)


def _draw_step(
    tree: Tree, node: Node, options: StepOptions, counts: dict[str, int]
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Return the new child that one next step makes, if it makes one."""
    (children,) = yield from draw_children(tree, [(node, 1)], options, counts)
    return children


def _draw_path(
    tree: Tree, node: Node, options: StepOptions, counts: dict[str, int]
) -> Generator[Sequence[Request], list[Any], list[Node]]:
    """Return the same child, from a whole solution of which it is the first new step."""
    whole = replace(options.at(node), max_tokens=None)
    solutions = yield from complete(
        node.trajectory, sampling=whole, reserve_tokens=options.reserve_tokens
    )
    node.is_exhausted = not solutions and not isinstance(solutions, Clipped)
    steps = [solution.steps[node.depth] for solution in solutions]
    node.drawn += steps
    return add_steps(tree, node, steps, counts)


def _judge(tree: Tree, children: Sequence[Node]) -> Generator[Sequence[Request], list[Any], None]:
    """Score new children and mark them accepted, neutral or dead."""
    for child in children:
        scores = yield from score(child.trajectory)
        tree.set_score(child, scores[-1])
        rating = scores[-1].rating
        tree.mark(child, "accepted" if rating > 0 else "dead" if rating < 0 else "neutral")


def _best_neutral(tree: Tree, node: Node, order: NeutralOrder) -> Node | None:
    """Return the neutral child to try next, the first drawn of equal ones; None if none is left."""
    candidates = [tree.nodes[i] for i in node.children if tree.nodes[i].status == "neutral"]
    if not candidates:
        return None
    return max(candidates, key=lambda candidate: _neutral_rank(candidate, order))


def _neutral_rank(node: Node, order: NeutralOrder) -> float:
    assert node.score is not None, "a neutral node was never scored"
    if order == "positive":
        return node.score.positive_prob
    return node.score.value if order == "value" else 0.0
