"""Weighted vote (verifier voting): many solutions, answers voted for with their scores.

Source: Li et al. 2022 (DIVERSE), arXiv 2206.02336 (with an outcome verifier); Wang et al. 2024
(Math-Shepherd), arXiv 2312.08935 (with a process model). Ties go to the answer that was
drawn first.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnav.core.aggregate import Aggregation
from stepnav.core.outcome import Outcome
from stepnav.core.requests import Program
from stepnav.core.tree import Tree
from stepnav.core.vote import count_votes
from stepnav.search.sampling import draw_samples


def weighted_vote(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    samples: int | None = 16,
    wave: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int | None = None,
    aggregation: Aggregation = "prod",
) -> Program:
    """Return the answer with the highest summed score.

    Args:
      tree: holds the problem, is given the solutions.
      extract: finds the canonical answer in a solution's text.
      samples: how many solutions; None draws until the budget is spent.
      wave: how many are asked for at once (`draw_samples`).
      temperature, top_p, max_tokens: of each sample.
      aggregation: how step scores become one number.
    """
    drawn = yield from draw_samples(
        tree,
        samples=samples,
        wave=wave,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        aggregation=aggregation,
    )
    scored = drawn.trajectories[: len(drawn.scores)]
    answers = [extract(solution.text) for solution in scored]
    votes = count_votes(answers, drawn.scores)
    counts = {"samples": len(answers), "cut": drawn.num_cut}
    if not votes:
        return Outcome(None, drawn.stop_reason, counts=counts)
    answer = next(iter(votes))
    voters = [index for index, given in enumerate(answers) if given == answer]
    chosen = scored[max(voters, key=lambda index: drawn.scores[index])]
    tree.mark_path(tree.add_trajectory(chosen, is_new=False), "chosen")
    return Outcome(chosen, drawn.stop_reason, answer, counts, votes)
