"""Best-of-N from solutions that are there already: what would picking by this reward model buy?

For every n the expectation over all subsets of n of a problem's N solutions is exact: the best of n
is the highest ranked of them, so its chance to be right is a sum over ranks, the counterpart of the
unbiased pass@n (Chen et al. 2021, equation 1). Ties are broken evenly, as by order of drawing.
Majority votes have no such sum: all subsets are gone through where there are few, else many are
drawn.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, groupby
from typing import Any

import numpy as np

from stepnav.answers.canonical import canonical
from stepnav.answers.extract import last_boxed, marked_answer
from stepnav.core.aggregate import AGGREGATIONS
from stepnav.core.seeds import derive_seed
from stepnav.core.vote import count_votes
from stepnav.measure.prm.case import Case
from stepnav.measure.prm.scores import Scores
from stepnav.measure.stats.cluster import Clusters, Statistic, ratio
from stepnav.measure.stats.intervals import pass_at_k
from stepnav.measure.stats.ranking import auroc_statistic, within_auroc_statistic

MAX_SUBSETS = 1000
"""Majority votes: with more subsets than this, so many are drawn."""

Graded = Sequence[tuple[float, bool]]
"""(score, is correct) of one problem's solutions."""

Scored = Sequence[tuple[Case, Scores]]
"""Solutions with their scores."""


def report(scored: Scored) -> dict[str, Any]:
    """Return accuracy for each n, by each way to choose, with intervals over problems.

    Solutions that nobody could grade are left out and counted.
    """
    graded = [(_answered(c), s) for c, s in scored if c.graded and c.graded.is_correct is not None]
    problems = by_problem(graded)
    most = max(map(len, problems), default=0)
    sizes = sample_sizes(most)
    return {
        "problems": len(problems),
        "solutions": len(graded),
        "ungraded": len(scored) - len(graded),
        "most_solutions": most,
        "n": [row(n, problems) for n in sizes],
        "auroc_within": {name: within_auroc(graded, name) for name in AGGREGATIONS},
        "auroc": {name: _estimate(auroc_statistic, graded, name) for name in AGGREGATIONS},
    }


def _answered(case: Case) -> Case:
    """Return a solution with its answer as it votes: in one spelling, the file's or its text's.

    The text's is what it marks, where the file says nothing of it; not its last number, as where
    problems are known to ask for one: text may be a program.
    """
    assert case.graded is not None, "only graded solutions are reported on"
    answer = case.graded.answer
    if answer is None and not case.is_unanswered:
        text = "\n".join(case.steps).strip()
        _, hashes, last = text.rpartition("\n")[2].partition("####")  # elsewhere it is a heading
        answer = last_boxed(text) or (hashes and last.strip()) or marked_answer(text) or None
    if answer is None:
        return case
    return replace(case, graded=replace(case.graded, answer=canonical(answer)))


def by_problem(scored: Scored) -> list[Scored]:
    """Return the solutions of each problem, in order of first appearance."""
    problems: dict[str, list[tuple[Case, Scores]]] = {}
    for case, scores in scored:
        problems.setdefault(case.group, []).append((case, scores))
    return list(problems.values())


def sample_sizes(most: int) -> list[int]:
    """Return 1, 2, 4, ... and `most` itself.

    Example:
      >>> sample_sizes(10)
      [1, 2, 4, 8, 10]
    """
    sizes = []
    n = 1
    while n < most:
        sizes.append(n)
        n *= 2
    return [*sizes, most] if most else []


def best_of(graded: Graded, n: int) -> float:
    """Return the chance that the highest scored of n of the solutions, drawn at random, is right.

    Args:
      graded: at least n solutions.
      n: at least 1.
    """
    ranked = sorted(graded, key=lambda item: -item[0])
    total = math.comb(len(ranked), n)
    left, chance = len(ranked), 0.0
    for _, tied in groupby(ranked, key=lambda item: item[0]):
        rights = [is_correct for _, is_correct in tied]
        share = (math.comb(left, n) - math.comb(left - len(rights), n)) / total
        chance += share * sum(rights) / len(rights)
        left -= len(rights)
    return chance


def majority_of(
    answers: Sequence[str | None], is_correct: Sequence[bool], n: int, *, seed: int = 0
) -> float:
    """Return the chance that the most frequent answer of n of the solutions is right.

    Ties are broken evenly; where nobody votes, nothing is right. An answer is as right as the
    share of its solutions that are.

    Args:
      answers: one per solution; None does not vote.
      is_correct: one per solution.
      n: 1 to the number of solutions.
      seed: of the drawn subsets, where there are more than `MAX_SUBSETS`.
    """
    found: dict[str, list[bool]] = {}
    for answer, right in zip(answers, is_correct, strict=True):
        if answer is not None:
            found.setdefault(answer, []).append(right)
    rightness = {answer: sum(rights) / len(rights) for answer, rights in found.items()}
    chances = []
    for subset in _subsets(len(answers), n, seed):
        votes = count_votes([answers[index] for index in subset])
        top = [answer for answer, count in votes.items() if count == max(votes.values())]
        chances.append(sum(rightness[answer] for answer in top) / len(top) if top else 0.0)
    return math.fsum(chances) / len(chances)


def _subsets(size: int, n: int, seed: int) -> Iterator[tuple[int, ...]]:
    if math.comb(size, n) <= MAX_SUBSETS:
        yield from combinations(range(size), n)
        return
    rng = random.Random(seed)
    for _ in range(MAX_SUBSETS):
        yield tuple(rng.sample(range(size), n))


def row(n: int, problems: Sequence[Scored]) -> dict[str, Any]:
    """Return the figures of one n, over the problems that have so many solutions.

    Of a majority vote over those among them of which all votes are known, `voted`.
    """
    kept = [members for members in problems if len(members) >= n]
    chances: dict[str, list[float]] = {
        name: [best_of(_graded(members, name), n) for members in kept] for name in AGGREGATIONS
    }
    chances["pass"] = [_pass(members, n) for members in kept]
    chances["majority"] = [_majority(members, n) for members in kept if _can_vote(members)]
    return {
        "n": n,
        "problems": len(kept),
        "voted": len(chances["majority"]),
        "short": len(problems) - len(kept),
        **{name: _mean(values) for name, values in chances.items()},
    }


def _graded(members: Scored, aggregation: str) -> Graded:
    return [
        (_score(scores, aggregation), bool(case.graded and case.graded.is_correct))
        for case, scores in members
    ]


def _score(scores: Scores, aggregation: str) -> float:
    """Return a solution's score to 13 digits: rounding in a sum must not decide between equals."""
    return float(f"{AGGREGATIONS[aggregation]([score.value for score in scores]):.13g}")


def _pass(members: Scored, n: int) -> float:
    right = sum(bool(case.graded and case.graded.is_correct) for case, _ in members)
    chance = pass_at_k(len(members), right, n)
    assert chance is not None, "only problems with n solutions are asked about"
    return chance


def _can_vote(members: Scored) -> bool:
    """Return whether all votes are known; a wrong solution may have none, and is said to."""
    return all(
        case.graded is not None
        and (case.graded.answer is not None or (case.is_unanswered and not case.graded.is_correct))
        for case, _ in members
    )


def _majority(members: Scored, n: int) -> float:
    known = [case.graded for case, _ in members if case.graded]
    return majority_of(
        [one.answer for one in known],
        [bool(one.is_correct) for one in known],
        n,
        seed=derive_seed("majority", members[0][0].group, n),
    )


def _mean(values: Sequence[float]) -> dict[str, Any]:
    clusters = Clusters(np.arange(len(values)), len(values))
    return clusters.estimate(ratio(np.array(values), np.ones(len(values)))).to_json()


def within_auroc(graded: Scored, aggregation: str) -> dict[str, Any]:
    """Return how well the score tells right solutions from wrong ones of the same problem.

    Pooled over problems, a score that only knows how hard they are would be better than chance.
    """
    return _estimate(within_auroc_statistic, graded, aggregation)


def _estimate(statistic: Callable[..., Statistic], graded: Scored, by: str) -> dict[str, Any]:
    clusters = Clusters.of_keys([case.group for case, _ in graded])
    scores = np.array([_score(scores, by) for _, scores in graded])
    right = np.array([bool(c.graded and c.graded.is_correct) for c, _ in graded], dtype=bool)
    return clusters.estimate(statistic(scores, right, clusters)).to_json()
