"""Slots: where the keys and values of running rows stand, as a `transformers` cache.

One tensor [layers, 2, slots, G, length, D] for all layers, so that a row is copied in or out by
one call. It grows by doubling and never shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache

from stepnav.core.errors import ConfigError
from stepnav.engine.attention import LENGTH_STEP, Plan


@dataclass(frozen=True, slots=True)
class CacheShape:
    """What one token leaves in the cache.

    Attributes:
      layers: decoder layers.
      kv_heads: G.
      width: floats per kv head and token, the head size (D).
      dtype, device: of keys and values.
    """

    layers: int
    kv_heads: int
    width: int
    dtype: Any
    device: Any

    @property
    def token_bytes(self) -> int:
        """Bytes of keys and values of one token."""
        return 2 * self.layers * self.kv_heads * self.width * int(self.dtype.itemsize)


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
            f"{type(model).__name__} caches differently shaped keys or values (got {sorted(shapes)}); "
            "all layers must be alike"
        )
    _, kv_heads, _, width = first.shape
    return CacheShape(len(cache.layers), kv_heads, width, first.dtype, first.device)


class SlotCache(Cache):  # type: ignore[misc]
    """Keys and values of running rows; the last slot takes what nobody needs.

    Args:
      shape: what one token leaves.
      num_slots: slots for rows.
    """

    def __init__(self, shape: CacheShape, num_slots: int) -> None:
        super().__init__(layers=[])
        self.shape = shape
        self.num_slots = num_slots
        self.length = 0
        self.plan: Plan | None = None
        self._store: Any = None
        self._flat: list[Any] = []
        self.reserve(8 * LENGTH_STEP)

    @property
    def scratch(self) -> int:
        """The slot that takes the keys and values of padding."""
        return self.num_slots

    def reserve(self, length: int) -> None:
        """Make every slot hold at least `length` tokens."""
        if length <= self.length:
            return
        length = max(length + (-length) % LENGTH_STEP, 2 * self.length)
        shape = self.shape
        size = (shape.layers, 2, self.num_slots + 1, shape.kv_heads, length, shape.width)
        store = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        if self.length:
            store[..., : self.length, :] = self._store
        self._store, self.length = store, length
        self._flat = [layer.view(2, -1, shape.width) for layer in store]

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *_: Any, **__: Any) -> Any:
        """Write new keys and values [1, H, N, D] to their places; return the whole layer."""
        assert self.plan is not None, "the cache is used inside a planned pass only"
        flat = self._flat[layer_idx]
        width = self.shape.width
        flat[0].index_copy_(0, self.plan.write, key_states[0].transpose(0, 1).reshape(-1, width))
        flat[1].index_copy_(0, self.plan.write, value_states[0].transpose(0, 1).reshape(-1, width))
        return self._store[layer_idx, 0], self._store[layer_idx, 1]

    def read(self, slot: int, start: int, end: int) -> Any:
        """Return a copy [layers, 2, G, tokens, D] of a slot's tokens."""
        return self._store[:, :, slot, :, start:end].clone()

    def write(self, slot: int, start: int, key_values: Any) -> None:
        """Put copied tokens into a slot."""
        self._store[:, :, slot, :, start : start + key_values.shape[-2]] = key_values

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a slot's first tokens to another slot."""
        self._store[:, :, target, :, :length] = self._store[:, :, source, :, :length]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return 0: positions are always given."""
        return 0

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Return sizes that no mask is made from."""
        return query_length, 0
