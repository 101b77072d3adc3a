"""Chain of thought: one solution, greedy by default.

Source: Wei et al. 2022, arXiv 2201.11903. The baseline that every search has to beat.
"""

from __future__ import annotations

from stepnav.core.options import Count, Temperature, TopP
from stepnav.core.outcome import Outcome
from stepnav.core.requests import BudgetSpent, Program, Sampling, complete
from stepnav.core.tree import Tree


def cot(
    tree: Tree,
    *,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    max_tokens: Count | None = None,
) -> Program:
    """Return one solution.

    Args:
      tree: holds the problem, is given the solution.
      temperature: 0 is greedy.
      top_p: nucleus sampling; 1 switches it off.
      max_tokens: limit of the solution; None leaves it to the backend.
    """
    sampling = Sampling(temperature, top_p, max_tokens)
    try:
        (solution,) = yield from complete(tree.root.trajectory, sampling=sampling)
    except BudgetSpent:
        return Outcome(None, "budget")
    if solution.steps:
        tree.mark_path(tree.add_trajectory(solution), "chosen")
    if solution.is_finished:
        return Outcome(solution, "finished")
    return Outcome(solution, "length")
