"""Weighted vote (verifier voting): many solutions, answers voted for with their scores.

Source: Li et al. 2022 (DIVERSE), arXiv 2206.02336 (with an outcome verifier); Wang et al. 2024
(Math-Shepherd), arXiv 2312.08935 (with a process model). Ties go to the answer that was
drawn first.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, Temperature, TopP
from stepnav.core.requests import Program, Sampling
from stepnav.core.tree import Tree
from stepnav.search.draw import draw_samples, outcome_of_vote


def weighted_vote(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    samples: Count | None = 16,
    wave: Count | None = None,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: Count | None = None,
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
        sampling=Sampling(temperature, top_p, max_tokens),
        aggregation=aggregation,
    )
    unscored = len(drawn.trajectories) - len(drawn.scores)  # what the budget did not pay for
    return outcome_of_vote(tree, drawn, extract, [*drawn.scores, *[0.0] * unscored])
