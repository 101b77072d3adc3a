"""What is told of a GRPO training while it runs, and when it has generated enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.train.watcher import FitProgress, Watcher

COLUMNS = (
    "reward", "right", "process", "accepted_wrong", "steps_per_solution", "tokens_per_solution",
    "frac_reward_zero_std", "entropy",
)  # fmt: skip
"""Logged beside the loss where they are known; `judge.means` says what ours are."""


class RewardLog(Watcher):
    """Writes the rewards down, and ends the training at a limit of tokens.

    Args:
      log, progress, done: as of `Watcher`; progress is told the mean reward.
      per_step: solutions of a step.
      max_tokens: limit on the tokens of all solutions; None for none.

    Attributes:
      tokens: of all solutions so far, those before a restart included.
    """

    def __init__(
        self,
        log: Path,
        progress: FitProgress | None,
        done: int,
        per_step: int,
        max_tokens: int | None,
    ) -> None:
        super().__init__(log, progress, done, columns=COLUMNS, shown="reward")
        self._per_step = per_step
        self._max_tokens = max_tokens
        self.tokens = sum(self._tokens(json.loads(line)) for line in self.kept_lines())

    @property
    def is_enough(self) -> bool:
        """Whether the limit of tokens is reached."""
        return self._max_tokens is not None and self.tokens >= self._max_tokens

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Count tokens; end the training where they are enough."""
        super().on_log(args, state, control, logs, **rest)
        self.tokens += self._tokens(logs or {})
        if self.is_enough:
            control.should_training_stop = True

    def _tokens(self, row: Mapping[str, float]) -> int:
        return round(row.get("tokens_per_solution", 0.0) * self._per_step)
