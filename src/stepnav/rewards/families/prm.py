"""A process reward model: a token classifier read at the end of each step.

Any `AutoModelForTokenClassification` with a `stepnav_prm.json` beside it (`StepFormat`): classes
that stand for ratings, or one output whose sigmoid is the value. One pass scores all steps of a
trajectory, and a step added to a known trajectory costs its own tokens only. One without that file
is read as what TRL's PRM trainer makes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.rewards.families.label_names import check_labels, class_ratings
from stepnav.rewards.local.family import Family
from stepnav.rewards.local.step_format import StepFormat, TrajectoryEncoder
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


def trl_format(config: Any, separator: str = "\n") -> StepFormat:
    r"""Return the format of a token classifier that was trained with TRL.

    The question and each step are tokenised on their own, the separator "\n" after each step, a BOS
    token first if the tokenizer has one; there is nothing between question and first step. Class
    names tell the ratings. Source: `tokenize_row` of TRL's PRMTrainer,
    https://github.com/huggingface/trl (`trl.experimental.prm` in 1.13.0), and its `step_separator`,
    whose default is "\n".

    Args:
      config: the model's.
      separator: the trainer's `step_separator`.
    Raises:
      ConfigError: its classes are no ratings.
    """
    return StepFormat(separator, prompt_template="{question}", labels=class_ratings(config))


TOKEN_CLASSES = replace(PRM, format=lambda folder, config: trl_format(config))
