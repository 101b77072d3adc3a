r"""Token classifiers without a `stepnav_prm.json`: what TRL's PRM trainer makes.

The question and each step are tokenised on their own, the separator "\n" after each step, a BOS
token first if the tokenizer has one; there is nothing between question and first step. Class names
tell the ratings. Source: `tokenize_row` of TRL's PRMTrainer, https://github.com/huggingface/trl
(`trl.experimental.prm` in 1.13.0), and its `step_separator`, whose default is "\n".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stepnav.rewards.families.label_names import class_ratings
from stepnav.rewards.families.prm import PRM
from stepnav.rewards.local.step_format import StepFormat


def trl_format(config: Any, separator: str = "\n") -> StepFormat:
    """Return the format of a token classifier that was trained with TRL.

    Args:
      config: the model's.
      separator: the trainer's `step_separator`.
    Raises:
      ConfigError: its classes are no ratings.
    """
    return StepFormat(separator, prompt_template="{question}", labels=class_ratings(config))


TOKEN_CLASSES = replace(PRM, format=lambda folder, config: trl_format(config))
