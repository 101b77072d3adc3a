"""TRL's GRPO trainer with advantages of single steps.

What is ours: prompts are tokenised as searches do, solutions are judged once for all rewards, and
the advantages of steps are added to those of solutions, as TRL's loss allows. Everything else is
TRL's. Imported where `trl_versions.require_trl` was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from trl import GRPOTrainer

from stepnav.core.records import Problem, Trajectory
from stepnav.policies.local.prompt import PromptEncoder
from stepnav.train.rl.advantages import step_advantages, token_advantages
from stepnav.train.rl.judge import Judge, Judged, means

NUMBER = "number"
"""Column of the data: which problem it is."""


class StepGRPOTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPO on problems, with rewards of solutions and of steps.

    Args:
      problems: what is trained on; the data's column `number` says which.
      encoder: turns a problem into the policy's tokens.
      judge: says what solutions are worth.
      step_weight: of the advantages of steps, which are added to those of solutions; 0 is TRL's
        own GRPO.
      process_weight: of the steps' values as one reward of the solution.
      outcome_weight: of the grade, the other reward of the solution.
      options: of TRL's trainer.
    """

    def __init__(
        self,
        *,
        problems: Sequence[Problem],
        encoder: PromptEncoder,
        judge: Judge,
        step_weight: float,
        process_weight: float,
        outcome_weight: float,
        **options: Any,
    ) -> None:
        self._problems = problems
        self._encoder = encoder
        self._judge = judge
        self._step_weight = step_weight
        self._judged: list[Judged] = []
        functions: list[Callable[..., Any]] = [self.outcome]
        weights = [outcome_weight]
        if process_weight:
            functions.append(self.process)
            weights.append(process_weight)
        options["args"].reward_weights = weights
        super().__init__(reward_funcs=functions, **options)

    def outcome(self, **_: Any) -> list[float | None]:
        """Return the grades of the solutions that were judged last."""
        return [one.outcome for one in self._judged]

    def process(self, **_: Any) -> list[float | None]:
        """Return the aggregated step values of the solutions that were judged last."""
        return [one.process for one in self._judged]

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        found = [self._encoder.encode(Trajectory(Problem("", prompt)))[0] for prompt in prompts]
        return found, None, {}

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: Any, completions: Any, ids: list[list[int]]
    ) -> torch.Tensor:
        problems = [self._problems[row[NUMBER]] for row in inputs]
        self._judged = self._judge.judge(problems, ids)
        for name, value in means(self._judged).items():
            self._log_metric(name, value)
        found: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, ids)
        return found

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self._step_weight:
            whole = found["advantages"]
            steps = self._of_steps(found["completion_ids"].shape[1]).to(whole)
            found["advantages"] = whole.unsqueeze(1) + self._step_weight * steps
        return found

    def _of_steps(self, num_tokens: int) -> torch.Tensor:
        """Return the advantages [B, T] of this process's solutions.

        A group may be spread over processes, so all rewards come together first.
        """
        local = [(one.values, one.ends if one.values else ()) for one in self._judged]
        every = gather_object(local)
        size = self.num_generations if self.model.training else self.num_generations_eval
        rows: list[list[float]] = []
        for first in range(0, len(every), size):
            group = every[first : first + size]
            for advantages, (_, ends) in zip(step_advantages([v for v, _ in group]), group):
                rows.append(token_advantages(advantages, ends, num_tokens))
        begin = self.accelerator.process_index * len(local)
        return torch.tensor(rows[begin : begin + len(local)])
