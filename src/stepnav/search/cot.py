"""Chain of thought: one solution, greedy by default.

Source: Wei et al. 2022, arXiv 2201.11903. The baseline that every search has to beat.
"""

from __future__ import annotations

from stepnav.core.outcome import Outcome
from stepnav.core.requests import BudgetSpent, Program, complete
from stepnav.core.tree import Tree


def cot(
    tree: Tree,
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_tokens: int | None = None,
) -> Program:
    """Return one solution.

    Args:
      tree: holds the problem, is given the solution.
      temperature: 0 is greedy.
      top_p: nucleus sampling; 1 switches it off.
      max_tokens: limit of the solution; None leaves it to the backend.
    """
    try:
        (solution,) = yield from complete(
            tree.root.trajectory,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
        )
    except BudgetSpent:
        return Outcome(None, "budget")
    if solution.steps:
        tree.mark_path(tree.add_trajectory(solution), "chosen")
    return Outcome(solution, "finished" if solution.is_finished else "length")
