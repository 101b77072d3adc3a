r"""Token classifiers without a `stepnav_prm.json`: what TRL's PRM trainer makes.

The question and each step are tokenised on their own, the separator "\n" after each step, a BOS
token first if the tokenizer has one; there is nothing between question and first step. Class names
tell the ratings. Source: `tokenize_row` of TRL's PRMTrainer, https://github.com/huggingface/trl
(`trl.experimental.prm` in 1.13.0), and its `step_separator`, whose default is "\n".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, one_line
from stepnav.rewards.families.label_names import class_ratings
from stepnav.rewards.families.prm import PRMReward
from stepnav.rewards.local.reward import local_source
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


def token_class_reward(source: str | Path, **options: Any) -> PRMReward:
    """Return the reward model of a token classifier's checkpoint.

    Args:
      source: a `save_pretrained` folder, or a hub name.
      options: as in `PRMReward`.
    Raises:
      ConfigError: the checkpoint cannot be used.
    """
    folder = local_source(source)
    from transformers import PretrainedConfig

    try:
        fields, _ = PretrainedConfig.get_config_dict(folder)
        config = PretrainedConfig.from_dict(fields)
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{folder}/config.json is no model's config ({one_line(error)}); save the model again"
        ) from None
    return PRMReward(folder, format=trl_format(config), **options)
