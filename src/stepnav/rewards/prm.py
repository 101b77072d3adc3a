"""A process reward model: a token classifier read at the end of each step.

Any `AutoModelForTokenClassification` with a `stepnav_prm.json` beside it (`StepFormat`). One pass
scores all steps of a trajectory, and a step added to a known trajectory costs its own tokens only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.core.records import StepScore, Trajectory
from stepnav.engine.loading import (
    context_length,
    load_model,
    load_tokenizer,
    num_parameters,
    require_torch,
)
from stepnav.engine.row import Row
from stepnav.rewards.prm_queue import ScoreQueue
from stepnav.rewards.prm_tokens import TrajectoryEncoder
from stepnav.rewards.step_format import StepFormat


class PRMReward(ScoreQueue):
    """Scores steps with a token-classification model in this process.

    Args:
      model: a `save_pretrained` folder, a hub name, or a loaded token-classification model.
      tokenizer: a loaded tokenizer; None takes the one beside the model.
      format: token format; None takes the one saved beside the model.
      device: "cpu", "cuda" or "auto"; a loaded model stays where it is.
      dtype: "float32", "bfloat16" or "float16"; a loaded model keeps its own.
      max_batch: most trajectories in one pass.
      max_batch_tokens: bound of trajectories x longest one in tokens; None is what 2 GiB hold.
      cache_tokens: tokens of scored trajectories kept for reuse; None is what 1 GiB holds.
      pass_tokens: most tokens of one forward pass.

    Raises:
      ConfigError: torch is missing, or the model, tokenizer or format cannot be used.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        format: StepFormat | None = None,  # noqa: A002
        device: str = "auto",
        dtype: str = "float32",
        max_batch: int = 64,
        max_batch_tokens: int | None = None,
        cache_tokens: int | None = None,
        pass_tokens: int = 1024,
    ) -> None:
        require_torch()
        from stepnav.engine.runner import Runner

        if isinstance(model, (str, Path)):
            source, model = model, load_model(model, "labels", device=device, dtype=dtype)
            format = format or StepFormat.load(Path(source))  # noqa: A001
            tokenizer = tokenizer or load_tokenizer(source)
        elif tokenizer is None:
            raise ConfigError("a loaded model needs its tokenizer; pass tokenizer=")
        self.format = format or StepFormat()
        if model.config.num_labels != len(self.format.labels):
            raise ConfigError(
                f"the model has {model.config.num_labels} output classes, its step format labels "
                f"{self.format.labels}; one label per class is needed"
            )
        self.num_parameters = num_parameters(model)
        runner = Runner(
            model,
            max_batch=max_batch,
            max_batch_tokens=max_batch_tokens,
            cache_tokens=cache_tokens,
            pass_tokens=pass_tokens,
            has_logits=False,
        )
        super().__init__(
            _ClassReader(TrajectoryEncoder(tokenizer, self.format), self.format),
            runner,
            flops_per_token=2 * self.num_parameters,
            context=context_length(model),
        )


class _ClassReader:
    """Reads class probabilities at the last token of each step."""

    def __init__(self, encoder: TrajectoryEncoder, format: StepFormat) -> None:  # noqa: A002
        self._encoder = encoder
        self._labels = format.labels
        self._temperature = format.temperature

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        return self._encoder.encode(trajectory)

    def row(self, tokens: list[int], totals: Sequence[int]) -> Row:
        return Row(tokens, tuple(total - 1 for total in totals[1:]))

    def take(self, asked: Sequence[tuple[Row, int]], logits: Any) -> None:
        probabilities = (logits / self._temperature).softmax(dim=-1).tolist()
        for (row, position), probs in zip(asked, probabilities):
            row.outputs[position] = probs

    def scores(self, row: Row) -> tuple[StepScore, ...]:
        return tuple(self._score(row.outputs[position]) for position in row.wanted)

    def _score(self, probs: Sequence[float]) -> StepScore:
        by_rating = {-1: 0.0, 0: 0.0, 1: 0.0}
        for label, prob in zip(self._labels, probs):
            by_rating[label] += prob
        return StepScore(by_rating[-1], by_rating[0], by_rating[1])
