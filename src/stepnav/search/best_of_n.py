"""Best-of-N: many solutions, the one that the reward model scores highest.

Source: Cobbe et al. 2021, arXiv 2110.14168, section 4 (with an outcome model); Lightman et al. 2023,
arXiv 2305.20050, section 2.6 (with a process model, product of step scores). Ties go to the
solution that was drawn first.
"""

from __future__ import annotations

from stepnav.core.aggregate import Aggregation
from stepnav.core.outcome import Outcome
from stepnav.core.requests import Program
from stepnav.core.tree import Tree
from stepnav.search.sampling import draw_samples


def best_of_n(
    tree: Tree,
    *,
    samples: int | None = 16,
    wave: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int | None = None,
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
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        aggregation=aggregation,
    )
    counts = {"samples": len(drawn.scores), "cut": drawn.num_cut}
    if not drawn.scores:
        return Outcome(None, drawn.stop_reason, counts=counts)
    chosen = drawn.trajectories[drawn.scores.index(max(drawn.scores))]
    tree.mark_path(tree.add_trajectory(chosen, is_new=False), "chosen")
    return Outcome(chosen, drawn.stop_reason, counts=counts)
