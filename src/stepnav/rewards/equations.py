"""A reward model for prose that checks the equations which a step states.

A step is rated -1 if an equation in it is false, and +1 else: nothing speaks against it. It
knows nothing of whether a step is the right one to take.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnav.core.records import StepScore, Trajectory
from stepnav.rewards.scripted import ScriptedReward


class EquationsReward(ScriptedReward):
    """Scores steps by their equations.

    Args:
      hold: a step's text to whether its equations hold; None if it states none.
    """

    def __init__(self, hold: Callable[[str], bool | None]) -> None:
        def rate(trajectory: Trajectory) -> StepScore:
            return StepScore.from_rating(-1 if hold(trajectory.steps[-1].text) is False else 1)

        super().__init__(rate)
