"""A row: one token sequence on its way through the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False, slots=True)
class Row:
    """One token sequence under way.

    Attributes:
      tokens: all tokens so far.
      wanted: positions whose output is wanted before the row is complete, ascending.
      room: tokens that may still be pushed; 0 for a row that is only read.
      reads_all: whether the output at every unread position is wanted, not only at `wanted`.
      outputs: position -> output that is known; the owner of the row adds what passes return.
      num_filled: leading tokens whose keys and values stand in the slot.
      num_cached: leading tokens that were taken from the prefix tree.
      slot: -1 while it has none.
      key: the tokens by which other rows find that this one reads the same; () for none.
      is_settled: whether all wanted outputs are known; from then on every new token's is asked.
    """

    tokens: list[int]
    wanted: tuple[int, ...]
    room: int = 0
    reads_all: bool = False
    outputs: dict[int, Any] = field(default_factory=dict)
    num_filled: int = 0
    num_cached: int = 0
    slot: int = -1
    key: tuple[int, ...] = ()
    is_settled: bool = False
