"""Trajectories as a reward model's tokens, with what was tokenised before remembered."""

from __future__ import annotations

from typing import Any

from stepnav.core.records import Trajectory
from stepnav.rewards.step_format import StepFormat

MAX_KEPT = 65536


class TrajectoryEncoder:
    """Tokenises by a `StepFormat`, each prompt and each step once.

    Args:
      tokenizer: the reward model's.
      format: how prompts and steps are shown.
    """

    def __init__(self, tokenizer: Any, format: StepFormat) -> None:  # noqa: A002
        self._tokenizer = tokenizer
        self._format = format
        self._prompts: dict[str, list[int]] = {}
        self._steps: dict[str, list[int]] = {}

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens, and how many there are after the prompt and after each step."""
        question = trajectory.problem.question
        if len(self._prompts) + len(self._steps) > MAX_KEPT:
            self._prompts.clear()
            self._steps.clear()
        if question not in self._prompts:
            self._prompts[question] = self._format.encode_prompt(self._tokenizer, question)
        ids = list(self._prompts[question])
        totals = [len(ids)]
        for step in trajectory.steps:
            if step.text not in self._steps:
                self._steps[step.text] = self._format.encode_step(self._tokenizer, step.text)
            ids += self._steps[step.text]
            totals.append(len(ids))
        return ids, tuple(totals)
