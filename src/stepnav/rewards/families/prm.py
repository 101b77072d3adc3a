"""A process reward model: a token classifier read at the end of each step.

Any `AutoModelForTokenClassification` with a `stepnav_prm.json` beside it (`StepFormat`): classes
that stand for ratings, or one output whose sigmoid is the value. One pass scores all steps of a
trajectory, and a step added to a known trajectory costs its own tokens only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.core.errors import ConfigError
from stepnav.engine.loading import load_model
from stepnav.rewards.families.label_names import check_labels
from stepnav.rewards.local.prm_tokens import TrajectoryEncoder
from stepnav.rewards.local.reward import LocalReward, load_pair, local_source
from stepnav.rewards.local.step_format import StepFormat
from stepnav.rewards.local.step_reader import StepReader, class_probs, value_probs

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from stepnav.rewards.local.reward import EngineLimits


class PRMReward(LocalReward):
    """Scores steps with a token-classification model in this process.

    Args:
      model: a `save_pretrained` folder, a hub name, or a loaded token-classification model.
      tokenizer: a loaded tokenizer; None takes the one beside the model.
      format: token format; None takes the one saved beside the model.
      device: "cpu", "cuda" or "auto"; a loaded model stays where it is.
      dtype: "float32", "bfloat16" or "float16"; a loaded model keeps its own.
      limits: see `EngineLimits`.

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
        **limits: Unpack[EngineLimits],
    ) -> None:
        source = local_source(model)
        model, tokenizer = load_pair(
            source, tokenizer, lambda path: load_model(path, "labels", device=device, dtype=dtype)
        )
        if format is None:
            has_folder = isinstance(source, Path)
            format = StepFormat.load(source) if has_folder else StepFormat()  # noqa: A001
        self.format = format
        if model.config.num_labels != format.num_outputs:
            raise ConfigError(
                f"the model has {model.config.num_labels} output classes, its step format labels "
                f"{format.labels or 'a value'}; one label per class is needed, or one output for a "
                "value"
            )
        check_labels(model.config, format.labels)
        super().__init__(model, _reader(tokenizer, format), **limits)


def _reader(tokenizer: Any, format: StepFormat) -> StepReader:  # noqa: A002
    if format.labels:
        read = class_probs(format.labels, format.temperature)
    else:
        read = value_probs(format.temperature)
    return StepReader(TrajectoryEncoder(tokenizer, format), read)
