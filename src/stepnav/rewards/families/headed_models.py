"""Backbones of transformers with the heads of public reward models, under their real weight names.

Built here so that no code that comes with a checkpoint is run. All give `.logits` per token.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import Qwen2Model, Qwen2PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput


class _HeadedQwen2(Qwen2PreTrainedModel):  # type: ignore[misc]
    """A Qwen2 backbone under the name `model`; a language model's head in the file is left out."""

    _keys_to_ignore_on_load_unexpected = (r"^lm_head\.",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        self._add_head(config.hidden_size)
        self.post_init()

    def _add_head(self, width: int) -> None:
        raise NotImplementedError

    def _head(self, hidden: Any) -> Any:
        raise NotImplementedError

    def forward(self, input_ids: Any = None, **options: Any) -> TokenClassifierOutput:
        """Return outputs [B, T, C]."""
        hidden = self.model(input_ids=input_ids, **options).last_hidden_state
        return TokenClassifierOutput(logits=self._head(hidden))


class Qwen2ProcessReward(_HeadedQwen2):
    """Qwen2.5-Math-PRM: `score.0`, ReLU, `score.2`, two classes.

    Source: Zhang et al. 2025, section 2, https://arxiv.org/abs/2501.07301.
    """

    def _add_head(self, width: int) -> None:
        self.score = torch.nn.Sequential(
            torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 2)
        )

    def _head(self, hidden: Any) -> Any:
        return self.score(hidden)


class Qwen2ValueReward(_HeadedQwen2):
    """Skywork-o1-Open-PRM: `v_head.summary`, one value per token.

    Source: https://github.com/SkyworkAI/skywork-o1-prm-inference.
    """

    def _add_head(self, width: int) -> None:
        self.v_head = torch.nn.Module()
        self.v_head.summary = torch.nn.Linear(width, 1)

    def _head(self, hidden: Any) -> Any:
        return self.v_head.summary(hidden)


class PerToken(torch.nn.Module):  # type: ignore[misc]
    """A decoder for sequence classification that gives its outputs at every token.

    Args:
      model: a sequence classifier of transformers with a backbone and the linear head `score`.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.classifier = model
        self.config = model.config

    @property
    def device(self) -> Any:
        """Where it runs."""
        return self.classifier.device

    @property
    def base_model(self) -> Any:
        """Its backbone."""
        return self.classifier.base_model

    def set_attn_implementation(self, name: str) -> None:
        """Choose how it attends."""
        self.classifier.set_attn_implementation(name)

    def forward(self, input_ids: Any = None, **options: Any) -> TokenClassifierOutput:
        """Return outputs [B, T, C]."""
        hidden = self.base_model(input_ids=input_ids, **options).last_hidden_state
        return TokenClassifierOutput(logits=self.classifier.score(hidden))
