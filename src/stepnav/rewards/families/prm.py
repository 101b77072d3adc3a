"""A process reward model: a token classifier read at the end of each step.

Any `AutoModelForTokenClassification` with a `stepnav_prm.json` beside it (`StepFormat`): classes
that stand for ratings, or one output whose sigmoid is the value. One pass scores all steps of a
trajectory, and a step added to a known trajectory costs its own tokens only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.rewards.families.label_names import check_labels
from stepnav.rewards.local.family import Family
from stepnav.rewards.local.prm_tokens import TrajectoryEncoder
from stepnav.rewards.local.step_format import StepFormat
from stepnav.rewards.local.step_reader import ClassProbs, Read, StepReader, ValueProbs

LOADER = "transformers:AutoModelForTokenClassification"


def _format(folder: Path | None, config: Any) -> StepFormat:
    return StepFormat() if folder is None else StepFormat.load(folder)


def _reader(model: Any, tokenizer: Any, format: StepFormat) -> StepReader:  # noqa: A002
    if model.config.num_labels != format.num_outputs:
        raise ConfigError(
            f"the model has {model.config.num_labels} output classes, its step format labels "
            f"{format.labels or 'a value'}; one label per class is needed, or one output for a "
            "value"
        )
    check_labels(model.config, format.labels)
    read: Read = ValueProbs(format.temperature)
    if format.labels:
        read = ClassProbs(format.labels, format.temperature)
    return StepReader(TrajectoryEncoder(tokenizer, format), read)


PRM = Family("token classification model", LOADER, _reader, _format, served="tokens", kind="labels")
