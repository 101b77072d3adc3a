"""Advantages of steps and tokens within a group of solutions of one problem.

Source: Shao et al. 2024 (DeepSeekMath, arXiv 2402.03300), section 4.1.3. A step's reward is
normalised over all steps of the group; the advantage of a step, and of each of its tokens, is the
sum of the normalised rewards from it on. Where every solution is one step, that is section 4.1.2:
the group normalisation of outcomes. Differs in: the deviation is the sample's (one less in the
divisor) with `EPSILON` added, as TRL computes it for outcomes, so that both can be added up.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import accumulate

EPSILON = 1e-4
"""Added to the deviation: a group whose rewards are all the same has no advantages."""


def step_advantages(rewards: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the advantage of each step of a group's solutions.

    Args:
      rewards: per solution the reward of each step; a solution without any has no advantages and
        takes no part in the normalisation.
    Example:
      >>> [[round(a, 2) for a in one] for one in step_advantages([[1.0, 1.0], [0.0, 0.0]])]
      [[1.73, 0.87], [-1.73, -0.87]]
    """
    every = [reward for solution in rewards for reward in solution]
    if len(every) < 2:
        return [[0.0] * len(solution) for solution in rewards]
    mean = math.fsum(every) / len(every)
    deviation = statistics.stdev(every, mean) + EPSILON
    return [
        list(accumulate((reward - mean) / deviation for reward in reversed(solution)))[::-1]
        for solution in rewards
    ]


def token_advantages(steps: Sequence[float], ends: Sequence[int], num_tokens: int) -> list[float]:
    """Return the advantage of each token: its step's; 0 behind the last step.

    Args:
      steps: advantage of each step.
      ends: the number of each step's last token, ascending.
      num_tokens: of the solution, padding included.
    Example:
      >>> token_advantages([2.0, 0.5], [1, 2], 5)
      [2.0, 2.0, 0.5, 0.0, 0.0]
    """
    found = [0.0] * num_tokens
    start = 0
    for advantage, end in zip(steps, ends, strict=True):
        found[start : end + 1] = [advantage] * (end + 1 - start)
        start = end + 1
    return found
