"""Slots: where the keys and values of running rows stand.

One tensor [layers, 2, slots, G, length, D] for all layers, so that a row is copied in or out by
one call. It grows by doubling as far as its bound allows; beyond, it is as large as the rows need.
What is beyond a row's tokens is finite, since masked values are still multiplied (by 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from stepnav.engine.attention import LENGTH_STEP

GPU_LENGTH_STEP = 128
"""The same on a GPU, where a masked token costs less than one more shape (`graphs`)."""


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

    @property
    def on_cpu(self) -> bool:
        """Whether they are in the CPU's memory."""
        return bool(self.device.type == "cpu")

    @property
    def length_step(self) -> int:
        """Cached tokens that are looked at are a multiple of this."""
        return LENGTH_STEP if self.on_cpu else GPU_LENGTH_STEP


class SlotCache:
    """Keys and values of running rows; the last slot takes what nobody needs.

    Args:
      shape: what one token leaves.
      max_slots: most slots for rows.
      max_tokens: most slots x length, unless the rows need more.

    Attributes:
      num_slots, length: what there is.
      generation: how often the store was made anew; what points into it is stale then.
    """

    def __init__(self, shape: CacheShape, max_slots: int, max_tokens: int) -> None:
        self.shape = shape
        self.num_slots = 0
        self.length = 0
        self.generation = 0
        self._max_slots = max_slots
        self._max_tokens = max_tokens
        self._store: Any = None
        self._flat: list[Any] = []

    @property
    def scratch(self) -> int:
        """The slot that takes the keys and values of padding."""
        return self.num_slots

    def reserve(self, slots: int, length: int) -> None:
        """Have at least so many slots of so many tokens; what stands beyond both may go."""
        length += (-length) % self.shape.length_step
        if slots <= self.num_slots and length <= self.length:
            return
        slots, length = grown(
            (self.num_slots, self.length),
            (slots, length),
            self._max_slots,
            self._max_tokens,
            self.shape.length_step,
        )
        shape = self.shape
        size = (shape.layers, 2, slots + 1, shape.kv_heads, length, shape.width)
        store = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        if self._store is not None:
            kept_slots, kept = min(slots, self.num_slots), min(length, self.length)
            store[:, :, :kept_slots, :, :kept] = self._store[:, :, :kept_slots, :, :kept]
        self._store, self.num_slots, self.length = store, slots, length
        self.generation += 1
        self._flat = [layer.view(2, -1, shape.width) for layer in store]

    def rows_of(self, slots: Any, positions: Any) -> Any:
        """Return the rows [N * G] of a layer's store that N tokens are written to (`Plan.write`).

        A layer's store [S, G, length, D] is written as [S * G * length, D]: the row of head h at
        position p in slot s is (s * G + h) * length + p.
        """
        size = self.shape.kv_heads * self.length
        heads = torch.arange(0, size, self.length, device=self.shape.device)
        return ((slots * size + positions)[:, None] + heads).flatten()  # [N, 1] + [G]

    def update(self, layer: int, write: Any, keys: Any, values: Any) -> tuple[Any, Any]:
        """Put a pass's new keys and values into a layer's store; return all of both.

        Args:
          layer: which one.
          write: `Plan.write`.
          keys, values: [N, G, D] of the packed tokens.
        """
        flat = self._flat[layer]
        width = self.shape.width
        flat[0].index_copy_(0, write, keys.reshape(-1, width))
        flat[1].index_copy_(0, write, values.reshape(-1, width))
        return self._store[layer, 0], self._store[layer, 1]

    def read(self, slot: int, start: int, end: int) -> Any:
        """Return a copy [layers, 2, G, tokens, D] of a slot's tokens."""
        return self._store[:, :, slot, :, start:end].clone()

    def write(self, slot: int, start: int, key_values: Any) -> None:
        """Put copied tokens into a slot."""
        self._store[:, :, slot, :, start : start + key_values.shape[-2]] = key_values

    def move(self, source: int, target: int, length: int) -> None:
        """Take a slot's first tokens to another slot."""
        self._store[:, :, target, :, :length] = self._store[:, :, source, :, :length]
        self.wipe(source, length)

    def wipe(self, slot: int, length: int) -> None:
        """Forget a slot's first tokens: one that overflowed would spoil the slot's next row."""
        self._store[:, :, slot, :, :length].zero_()


def grown(
    have: tuple[int, int],
    need: tuple[int, int],
    max_slots: int,
    max_tokens: int,
    step: int = LENGTH_STEP,
) -> tuple[int, int]:
    """Return how many slots of which length to have: those needed, twice as many if there is room.

    Args:
      have: slots and length so far.
      need: slots and length that are needed; one of them is more than there is.
      max_slots: most slots.
      max_tokens: most slots x length, if not more are needed.
      step: lengths are multiples of it.
    """
    slots, length = max(have[0], need[0]), max(have[1], need[1])
    if slots * length > max_tokens:
        return need
    if length > have[1]:
        room = max_tokens // slots
        length = max(length, min(2 * have[1], room - room % step))
    if slots > have[0]:
        slots = max(slots, min(2 * have[0], max_slots, max_tokens // length))
    return slots, length
