"""A model of `transformers` as the engine runs it: our attention inside, our slots as its cache.

The attention is registered with `transformers` under the name "stepnav"; without an active plan it
is plain SDPA, so that a model handed to an engine still works outside it (but for soft caps and
sinks, which SDPA lacks).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from stepnav.core.errors import ConfigError
from stepnav.engine.attention import Plan, attend
from stepnav.engine.passes import Pass
from stepnav.engine.self_check import check_windows, keeps_logits, plain_outputs
from stepnav.engine.slots import CacheShape, SlotCache

ATTENTION_NAME = "stepnav"


@dataclass(slots=True)
class _Running:
    """A pass that a model computes.

    Attributes:
      plan: what it attends to.
      in_masks: sliding windows that the model asked masks for.
      in_attention: those that it called attention with.
    """

    plan: Plan
    in_masks: set[int | None] = field(default_factory=set)
    in_attention: set[int | None] = field(default_factory=set)


_active: list[_Running] = []


class HostedModel:
    """Runs passes through a model of `transformers`.

    Args:
      model: in evaluation mode; its attention is set to ours.
      has_logits: whether it may be asked for single positions (`logits_to_keep`); that it heeds
        them is tried.

    Attributes:
      shape: what one token leaves in the cache.
      expected: what the model gave by its own attention, for `self_check`.

    Raises:
      ConfigError: it keeps no keys and values that the engine could hold.
    """

    def __init__(self, model: Any, *, has_logits: bool) -> None:
        self._model = model
        self.shape = probe_shape(model)
        self.expected = plain_outputs(model)
        self._keeps_logits = has_logits and keeps_logits(model)
        ALL_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, _attend)
        ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, _mask)
        model.set_attn_implementation(ATTENTION_NAME)

    def __call__(self, plan: Pass, cache: SlotCache) -> Any:
        """Return the outputs [K, C] at `plan.keep`.

        Raises:
          ConfigError: the model has a sliding window that is not seen here.
        """
        # C is a language model's vocabulary, so outputs that no one asks for would cost much
        extra = {"logits_to_keep": plan.keep} if self._keeps_logits else {}
        running = _Running(plan.attention)
        _active.append(running)
        try:
            # one row of N packed tokens: linear layers and norms see no borders between sequences,
            # only positions and attention do
            logits = self._model(
                input_ids=plan.ids,
                position_ids=plan.positions,
                past_key_values=_SlotView(cache),
                use_cache=True,
                **extra,
            ).logits[0]
        finally:
            _active.pop()
        check_windows(self._model, running.in_masks, running.in_attention)
        return logits if self._keeps_logits else logits[plan.keep]


class _SlotView(Cache):  # type: ignore[misc]
    """Our slots, as `transformers` wants a cache to be."""

    def __init__(self, slots: SlotCache) -> None:
        super().__init__(layers=[])
        self._slots = slots

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *_: Any, **__: Any) -> Any:
        """Write new keys and values [1, G, N, D] to their places; return the whole layer."""
        keys, values = key_states[0].transpose(0, 1), value_states[0].transpose(0, 1)
        return self._slots.update(layer_idx, _active[-1].plan.write, keys, values)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return 0: positions are always given."""
        return 0

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Return sizes as `transformers` wants them; no mask is made from them (`_mask`)."""
        return query_length, 0


def probe_shape(model: Any) -> CacheShape:
    """Return the cache shape that a model really uses, from one token run through it.

    Raises:
      ConfigError: the model keeps no plain keys and values, or not the same in every layer.
    """
    ids = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    cache = DynamicCache()
    try:
        with torch.inference_mode():
            model(input_ids=ids, use_cache=True, past_key_values=cache)
        shapes = {(tuple(layer.keys.shape), tuple(layer.values.shape)) for layer in cache.layers}
        first = cache.layers[0].keys
    except (AttributeError, TypeError, IndexError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"{type(model).__name__} keeps no plain key/value cache ({error}); "
            "use a decoder whose layers all attend"
        ) from None
    if len(shapes) != 1 or len(set(next(iter(shapes)))) != 1:
        raise ConfigError(
            f"{type(model).__name__} caches differently shaped keys or values (got "
            f"{sorted(shapes)}); all layers must be alike"
        )
    chunk = getattr(model.config.get_text_config(), "attention_chunk_size", None)
    if chunk is not None:
        raise ConfigError(
            f"{type(model).__name__} attends in chunks of {chunk} tokens, which the engine does "
            "not; use another model"
        )
    _, kv_heads, _, width = first.shape
    return CacheShape(len(cache.layers), kv_heads, width, first.dtype, first.device)


def _mask(*args: Any, **kwargs: Any) -> Any:
    if not _active:
        return sdpa_mask(*args, **kwargs)
    _active[-1].in_masks.add(kwargs.get("local_size"))
    return None


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Any = None,
    **kwargs: Any,
) -> tuple[Any, None]:
    """Return [1, N, H, D] for packed queries [1, H, N, D]; key and value are whole slot stores."""
    if not _active:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, softcap=softcap, **kwargs
        )
        return output, None
    running = _active[-1]
    running.in_attention.add(sliding_window)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    packed = query[0].transpose(0, 1)
    result = attend(
        running.plan, packed, key, value,
        scale=scale, window=sliding_window, softcap=softcap, sinks=s_aux,
    )  # fmt: skip
    return result[None], None
