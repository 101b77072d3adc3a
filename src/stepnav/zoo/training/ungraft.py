"""Takes the language model that a reward model was grafted on out of it again.

The graft keeps the backbone's weights (`graft.py`), so that a shipped reward model is all that is
needed to make a better one: the backbone is the same but for the rounding of the weights.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch

from stepnav.zoo.training.graft import EMBEDDING_SCALE


def ungraft(classifier: Any, like: Any) -> Any:
    """Return the language model inside a grafted classifier.

    Args:
      classifier: what `graft_classifier` made.
      like: a language model of the backbone's shape, such as the policy; is not changed.
    """
    result = copy.deepcopy(like).float()
    old, new = classifier.model, result.model
    narrow = like.config.hidden_size
    ratio = math.sqrt(narrow / classifier.config.hidden_size)
    product = old.layers[len(new.layers)].post_attention_layernorm.weight
    shrink = 1.0 / (EMBEDDING_SCALE * float(product[narrow : 2 * narrow].detach().mean()))
    with torch.no_grad():
        new.norm.weight.copy_(product[2 * narrow : 3 * narrow])
        new.embed_tokens.weight.copy_(old.embed_tokens.weight[:, :narrow] / shrink)
        for source, target in zip(old.layers, new.layers):  # the graft has more of them
            _unwiden(source, target, ratio, shrink)
    return result


def _unwiden(source: Any, target: Any, ratio: float, shrink: float) -> None:
    """Copy the backbone's own part of a layer: what `widen` did, undone."""
    narrow = len(target.input_layernorm.weight)
    for name in ("input_layernorm", "post_attention_layernorm"):
        getattr(target, name).weight.copy_(getattr(source, name).weight[:narrow] / ratio)
    for part, names in (("self_attn", "qkv"), ("mlp", ("gate", "up"))):
        for name in names:
            weight = getattr(getattr(source, part), f"{name}_proj").weight[:, :narrow]
            getattr(getattr(target, part), f"{name}_proj").weight.copy_(weight)
    for part, name in (("self_attn", "o_proj"), ("mlp", "down_proj")):
        weight = getattr(getattr(source, part), name).weight[:narrow] / shrink
        getattr(getattr(target, part), name).weight.copy_(weight)
