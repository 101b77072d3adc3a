"""Samples of the policy without a search: what a plain model in this process gives."""

from __future__ import annotations

from stepnav.core.options import Count, Temperature, TopP
from stepnav.core.outcome import Outcome
from stepnav.core.requests import BudgetSpent, Program, Sampling, complete
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Tree


def sample(
    tree: Tree,
    *,
    samples: Count = 1,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_tokens: Count | None = None,
) -> Program:
    """Return the first of some solutions; all are in the tree, in order, equal ones as duplicates.

    Args:
      tree: holds the problem, is given the solutions.
      samples: how many.
      temperature, top_p, max_tokens: of each; the defaults are OpenAI's.
    """
    try:
        sampling = Sampling(temperature, top_p, max_tokens)
        drawn = yield from complete(tree.root.trajectory, samples, sampling=sampling)
    except BudgetSpent:
        return Outcome(None, "budget")
    leaves = [tree.add_trajectory(solution) for solution in drawn if solution.steps]
    if not leaves:
        return Outcome(None, "length")
    tree.mark_path(leaves[0], "chosen")
    return Outcome(leaves[0].trajectory, "finished" if leaves[0].is_finished else "length")


SAMPLE = Strategy("sample", function=sample)
