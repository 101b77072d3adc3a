"""A reward model that knows the solution: an upper bound, marked as such in every report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stepnav.core.records import Problem, Rating, StepScore, Trajectory
from stepnav.rewards.scripted import ScriptedReward


class OracleReward(ScriptedReward):
    """Scores steps with a task's exact checker.

    Args:
      rate_steps: (problem, step texts) to one rating per step.
    """

    def __init__(self, rate_steps: Callable[[Problem, Sequence[str]], list[Rating]]) -> None:
        def rate(trajectory: Trajectory) -> StepScore:
            texts = [step.text for step in trajectory.steps]
            return StepScore.from_rating(rate_steps(trajectory.problem, texts)[-1])

        super().__init__(rate)
