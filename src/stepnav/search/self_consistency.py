"""Self-consistency: many solutions, the most frequent answer.

Source: Wang et al. 2022, arXiv 2203.11171, section 2; majority vote, the variant that they found
as good as weighting by probability. Ties go to the answer that was drawn first.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnav.core.outcome import Outcome
from stepnav.core.requests import Program
from stepnav.core.tree import Tree
from stepnav.core.vote import count_votes
from stepnav.search.sampling import draw_samples


def self_consistency(
    tree: Tree,
    *,
    extract: Callable[[str], str | None],
    samples: int | None = 16,
    wave: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int | None = None,
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
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        aggregation=None,
    )
    answers = [extract(solution.text) for solution in drawn.trajectories]
    votes = count_votes(answers)
    counts = {"samples": len(answers), "cut": drawn.num_cut}
    if not votes:
        return Outcome(None, drawn.stop_reason, counts=counts)
    answer = next(iter(votes))
    chosen = drawn.trajectories[answers.index(answer)]
    tree.mark_path(tree.add_trajectory(chosen, is_new=False), "chosen")
    return Outcome(chosen, drawn.stop_reason, answer, counts, votes)
