"""Drawing whole solutions, voting over them, and finishing begun ones: what strategies share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from stepnav.core.aggregate import Aggregation, aggregate
from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.records import Trajectory
from stepnav.core.requests import GREEDY, BudgetSpent, Request, Sampling, complete, score_first
from stepnav.core.tree import Node, Tree
from stepnav.core.vote import count_votes
from stepnav.search.expand import worth

MAX_SAMPLES = 4096
"""Where a search draws until its budget is spent, it still ends after so many."""

Answer = Literal["best", "vote"]
"""How finished solutions give an answer: the one of the highest value, or a vote of all."""


@dataclass(slots=True)
class Samples:
    """What was drawn.

    Attributes:
      trajectories: in the order of drawing; those cut at a limit are left out.
      scores: one aggregated score per trajectory, as far as the budget paid for scoring; empty if
        scoring was not asked for.
      num_cut: how many were left out because a limit cut them.
      stop_reason: "finished", or "budget" if it refused to draw or to score.
    """

    trajectories: list[Trajectory] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    num_cut: int = 0
    stop_reason: StopReason = "finished"

    @property
    def counts(self) -> dict[str, int]:
        """How many samples there are, and how many were cut."""
        return {"samples": len(self.trajectories), "cut": self.num_cut}


def draw_samples(
    tree: Tree,
    *,
    samples: int | None,
    wave: int | None,
    sampling: Sampling,
    aggregation: Aggregation | None,
) -> Generator[Sequence[Request], list[Any], Samples]:
    """Return solutions drawn from the root, scored if `aggregation` is given.

    Args:
      tree: is given every drawn solution.
      samples: how many to draw; None draws until the budget is spent.
      wave: how many to ask for at once; None asks for all, or one by one if `samples` is None.
      sampling: of each sample.
      aggregation: how step scores become one number; None does not score.
    """
    drawn = Samples()
    left = MAX_SAMPLES if samples is None else samples
    wave = wave or (1 if samples is None else samples)
    try:
        while left > 0:
            asked = min(wave, left)
            left -= asked
            solutions = yield from complete(tree.root.trajectory, asked, sampling=sampling)
            finished = _add_solutions(tree, solutions, drawn)
            if aggregation is not None:
                scores, spent = yield from score_first(finished)
                for solution, solution_scores in zip(finished, scores):
                    tree.add_scores(solution, solution_scores)
                    drawn.scores.append(aggregate(solution_scores, aggregation))
                if spent is not None:
                    raise spent
    except BudgetSpent:
        drawn.stop_reason = "budget"
    return drawn


def _add_solutions(
    tree: Tree, solutions: Sequence[Trajectory], drawn: Samples
) -> Sequence[Trajectory]:
    """Add solutions to the tree and to what was drawn; return the finished ones."""
    finished = [solution for solution in solutions if solution.is_finished]
    leaves = [tree.add_trajectory(solution) for solution in solutions if solution.steps]
    for leaf in leaves:
        if not leaf.is_finished:
            tree.mark(leaf, "dead")
    drawn.num_cut += len(solutions) - len(finished)
    drawn.trajectories.extend(finished)
    return finished


def outcome_of_vote(
    tree: Tree,
    drawn: Samples,
    extract: Callable[[str], str | None],
    weights: Sequence[float] | None = None,
) -> Outcome:
    """Return the answer with the most votes, shown by its voter of the highest weight.

    Where no solution has an answer that could be voted for, as in free text, the solution of the
    highest weight is chosen.

    Args:
      tree: gets the chosen path marked.
      drawn: the voters.
      extract: finds the canonical answer in a solution's text.
      weights: one per voter, at least 0; None counts every voter once.
    """
    answers = [extract(solution.text) for solution in drawn.trajectories]
    votes = count_votes(answers, weights)
    if not drawn.trajectories:
        return Outcome(None, drawn.stop_reason, counts=drawn.counts)
    answer = next(iter(votes), None)
    voters = [index for index, given in enumerate(answers) if given == answer]
    best = max(voters, key=lambda index: 0.0 if weights is None else weights[index])
    chosen = drawn.trajectories[best]
    tree.mark_path(tree.add_trajectory(chosen, is_new=False), "chosen")
    return Outcome(chosen, drawn.stop_reason, answer, drawn.counts, votes)


def conclude(
    tree: Tree,
    finished: Sequence[Node],
    best: Node,
    extract: Callable[[str], str | None],
    *,
    answer: Answer,
    stop_reason: StopReason,
    counts: dict[str, int],
    weights: Sequence[float] | None = None,
) -> Generator[Sequence[Request], list[Any], Outcome]:
    """Return the outcome of a step search: of its solutions, or of a prefix finished greedily.

    Args:
      tree: gets the chosen path marked.
      finished: rated ends of solutions; one that stands there twice has two votes.
      best: the prefix to fall back on if there are no solutions.
      extract: finds the canonical answer in a solution's text.
      answer: how the solutions give the answer.
      stop_reason: why the search stopped.
      counts: its counters.
      weights: of the votes, one per solution; None takes the nodes' values.
    """
    if finished and answer == "vote":
        drawn = Samples([node.trajectory for node in finished], stop_reason=stop_reason)
        values = [worth(node) for node in finished]
        vote = outcome_of_vote(tree, drawn, extract, values if weights is None else weights)
        return replace(vote, counts={**drawn.counts, **counts})
    if finished:
        best = max(finished, key=worth)
    else:
        best = yield from fall_back(tree, best, counts)
    tree.mark_path(best, "chosen")
    return Outcome(best.trajectory if best.depth else None, stop_reason, counts=counts)


def fall_back(
    tree: Tree, node: Node, counts: dict[str, int]
) -> Generator[Sequence[Request], list[Any], Node]:
    """Return the best end that a search without a rated solution can still give.

    One that was drawn when the budget ended, before all were rated, below `node`; else `node`
    finished greedily; and where that gives no end, of all others the one below the steps that are
    worth the most. A rollout below a rejected step is none of them.

    Args:
      tree: of the search.
      node: the prefix that it would go on with.
      counts: gets "fallbacks".
    """
    begin, paths = tree.path(node), [p for p in map(tree.path, tree.nodes[1:]) if _is_left(p)]
    below = [path[-1] for path in paths if path[: node.depth] == begin]
    if any(end.value is None for end in below):
        return max(below, key=worth)
    found = yield from finish_greedily(tree, node, counts)
    return found if found.is_finished or not paths else max(paths, key=_last_value)[-1]


def _is_left(path: Sequence[Node]) -> bool:
    """Return whether a path ends in a solution that was not decided on."""
    end = path[-1]
    is_open = end.status == "open" and all(node.status != "dead" for node in path)
    return end.is_finished and is_open


def _last_value(path: Sequence[Node]) -> float:
    """Return the value of the last node of a path that has one, 0 where none has."""
    return next((node.value for node in reversed(path) if node.value is not None), 0.0)


def finish_greedily(
    tree: Tree, node: Node, counts: dict[str, int]
) -> Generator[Sequence[Request], list[Any], Node]:
    """Return the end of the greedy, unrated completion of a prefix, counted as a fallback.

    Returns `node` itself if the budget cannot pay for it.
    """
    try:
        (solution,) = yield from complete(node.trajectory, sampling=GREEDY)
    except BudgetSpent:
        return node
    counts["fallbacks"] += 1
    return tree.add_trajectory(solution) if solution.steps else node
