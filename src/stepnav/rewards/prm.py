"""A process reward model: a token classifier read at the end of each step.

Any `AutoModelForTokenClassification` with a `stepnav_prm.json` beside it (`StepFormat`): classes that
stand for ratings, or one output whose sigmoid is the value. One pass scores all steps of a trajectory,
and a step added to a known trajectory costs its own tokens only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.engine.loading import (
    context_length,
    load_model,
    load_tokenizer,
    num_parameters,
    require_torch,
)
from stepnav.rewards.prm_queue import ScoreQueue
from stepnav.rewards.prm_tokens import TrajectoryEncoder
from stepnav.rewards.step_format import StepFormat
from stepnav.rewards.step_reader import StepReader, class_probs, value_probs


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
        if model.config.num_labels != self.format.num_outputs:
            raise ConfigError(
                f"the model has {model.config.num_labels} output classes, its step format labels "
                f"{self.format.labels or 'a value'}; one label per class is needed, or one output "
                "for a value"
            )
        self.format.separator_ids(tokenizer)
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
            _reader(tokenizer, self.format),
            runner,
            flops_per_token=2 * self.num_parameters,
            context=context_length(model),
        )


def _reader(tokenizer: Any, format: StepFormat) -> StepReader:  # noqa: A002
    if format.labels:
        read = class_probs(format.labels, format.temperature)
    else:
        read = value_probs(format.temperature)
    return StepReader(TrajectoryEncoder(tokenizer, format), read)
