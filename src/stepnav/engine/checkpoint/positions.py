"""How many tokens a model can read, by its config and its table of positions."""

from __future__ import annotations

from typing import Any

_NAMES = ("max_position_embeddings", "max_target_positions")
"""What configs call it; those of speech models (Whisper) count their decoder's apart."""


def num_positions(model: Any) -> int | None:
    """Return the most tokens that the model has positions for, None if it does not say.

    RoBERTa and its kin count positions from one past the padding token's number.
    """
    config = model.config.get_text_config()
    found = [getattr(config, name, None) for name in _NAMES]
    length = next((found for found in found if isinstance(found, int) and found > 0), None)
    if length is None:
        return None
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return length if padding is None else length - padding - 1


def steady_length(config: Any) -> int | None:
    """Return the most tokens of a pass that all get the same rotary embedding, None if any number.

    With "longrope" (Phi-3 and its kin) `transformers` changes all positions of a pass once one of
    them is beyond the length of the original training (`dynamic_rope_update`). "dynamic" does so
    beyond `max_position_embeddings`, where no position is left.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    # one for all layers, or one for each kind of layer
    settings = (rope, *(value for value in rope.values() if isinstance(value, dict)))
    lengths = [
        each.get("original_max_position_embeddings")
        for each in settings
        if each.get("rope_type") == "longrope"
    ]
    return min((length for length in lengths if isinstance(length, int)), default=None)
