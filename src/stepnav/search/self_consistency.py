"""Self-consistency: many solutions, the most frequent answer.

Source: Wang et al. 2022, arXiv 2203.11171, section 2; majority vote, the variant that they found
as good as weighting by probability. Ties go to the answer that was drawn first.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnav.core.options import Count, Temperature, TopP
from stepnav.core.requests import Program, Sampling
from stepnav.core.tree import Tree
from stepnav.search.draw import draw_samples, outcome_of_vote


def self_consistency(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    samples: Count | None = 16,
    wave: Count | None = None,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: Count | None = None,
) -> Program:
    """Return the answer that most sampled solutions give.

    Args:
      tree: holds the problem, is given the solutions.
      extract: finds the canonical answer in a solution's text.
      samples: how many solutions; None draws until the budget is spent.
      wave: how many are asked for at once (`draw_samples`).
      temperature, top_p, max_tokens: of each sample.
    """
    drawn = yield from draw_samples(
        tree,
        samples=samples,
        wave=wave,
        sampling=Sampling(temperature, top_p, max_tokens),
        aggregation=None,
    )
    return outcome_of_vote(tree, drawn, extract)
