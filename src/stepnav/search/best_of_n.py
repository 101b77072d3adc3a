"""Best-of-N: many solutions, the one that the reward model scores highest.

Source: Cobbe et al. 2021, arXiv 2110.14168, section 4 (with an outcome model); Lightman et al.
2023, arXiv 2305.20050, section 2.6 (with a process model, product of step scores). Ties go to the
solution that was drawn first.
"""

from __future__ import annotations

from stepnav.core.aggregate import Aggregation
from stepnav.core.options import Count, Temperature, TopP
from stepnav.core.outcome import Outcome
from stepnav.core.requests import Program, Sampling
from stepnav.core.tree import Tree
from stepnav.search.draw import draw_samples


def best_of_n(
    tree: Tree,
    *,
    samples: Count | None = 16,
    wave: Count | None = None,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: Count | None = None,
    aggregation: Aggregation = "prod",
) -> Program:
    """Return the sampled solution with the highest score.

    Args:
      tree: holds the problem, is given the solutions.
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
    if not drawn.trajectories:
        return Outcome(None, drawn.stop_reason, counts=drawn.counts)
    # the first solution, unscored, where the budget paid for no score
    best = drawn.scores.index(max(drawn.scores)) if drawn.scores else 0
    chosen = drawn.trajectories[best]
    tree.mark_path(tree.add_trajectory(chosen, is_new=False), "chosen")
    return Outcome(chosen, drawn.stop_reason, counts=drawn.counts)
