"""Lays out one packed forward pass: which tokens it reads, where they stand, what is asked of it.

Rows that bring one token come first, in slot order, so that the common pass (every row writes)
needs no gathering. Rows that bring more are grouped by size, so that short ones are not padded to
the length of a long prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from stepnav.engine.attention import Group, Plan
from stepnav.engine.row import Row
from stepnav.engine.slots import CacheShape, SlotCache

BLOCK = 16
"""Slots that attention looks at together, up to the longest row among them."""

CALL_TOKENS = 512
"""Cached tokens that a row looks at in the time of one more call: 150 to 1,300, by model and type,
as measured for groups of 1 to 16 rows of 64 to 1,024 tokens on two cores."""


@dataclass(slots=True)
class Pass:
    """One forward pass over N packed tokens.

    Attributes:
      ids, positions: [1, N].
      keep: packed indices whose output is computed, padded by repeats of the last.
      asked: (row, position) of each output that is wanted, in the order of `keep`.
      fed: rows and how many of their tokens are read.
      num_tokens: tokens read, padding left out.
      attention: what they attend to.
      singles: [3, N] ids, positions and slots of a pass in which each row brings one token, packed
        index = slot; None for other passes.
    """

    ids: Any
    positions: Any
    keep: Any
    asked: list[tuple[Row, int]]
    fed: list[tuple[Row, int]]
    num_tokens: int
    attention: Plan
    singles: Any = None


class _Layout:
    """Packed tokens while they are being laid out."""

    def __init__(self, scratch: int) -> None:
        self.scratch = scratch
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.slots: list[int] = []
        self.keep: list[int] = []
        self.asked: list[tuple[Row, int]] = []

    def add(self, row: Row, count: int) -> None:
        """Add a row's next tokens and ask for the outputs that it wants of them."""
        start = row.num_filled
        first = len(self.ids)
        self.ids += row.tokens[start : start + count]
        self.positions += range(start, start + count)
        self.slots += [row.slot] * count
        if row.is_settled or row.reads_all:
            asked: Sequence[int] = range(start, start + count)
        else:
            asked = [at for at in row.wanted if start <= at < start + count]
        for at in asked:
            self.keep.append(first + at - start)
            self.asked.append((row, at))

    def add_padding(self, count: int) -> None:
        """Add tokens that are written to the scratch slot and never looked at."""
        self.ids += [0] * count
        self.positions += [0] * count
        self.slots += [self.scratch] * count


def plan_pass(rows: Sequence[Row], cache: SlotCache, pass_tokens: int, step: int) -> Pass:
    """Return the next pass.

    Args:
      rows: running rows by slot, standing side by side; each has unread tokens.
      cache: where their slots are.
      pass_tokens: most tokens to read.
      step: N and the number of outputs are padded to a multiple of it.
    """
    fed = _share(rows, pass_tokens)
    num_slots = rows[-1].slot + 1
    # slots come in steps too: padding behind the last single looks at slots of its own
    cache.reserve(
        num_slots + (-num_slots) % step, max(row.num_filled + count for row, count in fed)
    )
    layout = _Layout(cache.scratch)
    # Singles come first, packed index = slot: both are then slices of what they index, and neither
    # queries nor keys are gathered. That is the common pass, in which every row writes one token.
    singles = {row.slot: row for row, count in fed if count == 1}
    longer = [(row, count) for row, count in fed if count > 1]
    longer.sort(key=lambda pair: (_size_class(pair[1]), pair[0].slot))
    num_singles = max(singles, default=-1) + 1
    # where longer rows follow, padding comes once, behind them
    if not longer:
        num_singles += -num_singles % step
    for slot in range(num_singles):
        if slot in singles:
            layout.add(singles[slot], 1)
        else:  # a slot whose row reads more, or nothing, in this pass
            layout.add_padding(1)
    firsts = {}  # slot -> packed index of its row's first token
    for row, count in longer:
        firsts[row.slot] = len(layout.ids)
        layout.add(row, count)
    # the model's own products (N rows each) see few shapes as well, whatever rows are in the pass
    layout.add_padding(-len(layout.ids) % step)
    # outputs come in steps as well: the last layer's product has as many rows as there are outputs
    keep = layout.keep + [layout.keep[-1] if layout.keep else 0] * (-len(layout.keep) % step)
    drafts = _single_drafts(layout.positions[:num_singles], cache)
    more, put = _longer_drafts(num_singles, longer, firsts, cache)
    put += [0] * (len(layout.ids) - len(put))  # padding takes any result
    packed = [layout.ids, layout.positions, layout.slots, keep or [0] * step, put if longer else []]
    numbers, *parts = _sent([*packed, *(d.numbers for d in (*drafts, *more))], cache.shape.device)
    ids, positions, slots, kept, put_ = parts[:5]
    groups = [draft.group(part) for draft, part in zip((*drafts, *more), parts[5:])]
    return Pass(
        ids[None],
        positions[None],
        kept,
        layout.asked,
        fed,
        sum(count for _, count in fed),
        Plan(groups, put_ if longer else None, cache.rows_of(slots, positions)),
        None if longer else numbers[: 3 * len(layout.ids)].view(3, -1),
    )


def _share(rows: Sequence[Row], pass_tokens: int) -> list[tuple[Row, int]]:
    """Return how many tokens each row reads: writing rows one, then the others in order."""
    unread = [(row, len(row.tokens) - row.num_filled) for row in rows]
    # a prompt must not make rows wait that write; `pass_tokens` is enough for one token of each row
    left = pass_tokens - sum(count == 1 for _, count in unread)
    fed = []
    for row, count in unread:
        if count > 1:
            count = min(count, left)
            left -= count
        if count > 0:
            fed.append((row, count))
    return fed


@dataclass(slots=True)
class _Draft:
    """A group whose numbers are still to be sent to the device.

    Attributes:
      slots, take: as in `Group` where they are slices, None where they stand in `numbers`.
      rows, length: as in `Group`.
      numbers: positions [R * T], then `take` and `slots` if they are no slices.
    """

    slots: slice | None
    take: slice | None
    rows: int
    length: int
    numbers: list[int]

    def group(self, numbers: Any) -> Group:
        """Return the group, its numbers being on the device."""
        count = len(self.numbers) - (self.rows if self.slots is None else 0)
        if self.take is not None:
            return Group(self.slots, self.take, numbers[:count, None], self.length)
        half = count // 2
        slots = numbers[count:] if self.slots is None else self.slots
        return Group(slots, numbers[half:count], numbers[:half].view(self.rows, -1), self.length)


def _sent(parts: Sequence[Sequence[int]], device: Any) -> list[Any]:
    """Return all numbers as one tensor on the device, and each part's view of it.

    One copy a pass, which the CPU does not wait for.
    """
    whole = torch.tensor([number for part in parts for number in part])
    if device.type != "cpu":
        whole = whole.to(device, non_blocking=True)
    return [whole, *whole.split([len(part) for part in parts])]


def _single_drafts(positions: Sequence[int], cache: SlotCache) -> list[_Draft]:
    """Return the attention groups of rows that bring one token."""
    blocks = _blocks(positions, cache.shape)
    return [
        _Draft(block, block, block.stop - block.start, length, list(positions[block]))
        for block, length in blocks
    ]


def _longer_drafts(
    num_singles: int,
    longer: Sequence[tuple[Row, int]],
    firsts: dict[int, int],
    cache: SlotCache,
) -> tuple[list[_Draft], list[int]]:
    """Return the attention groups of rows that bring more, and where all tokens' results stand."""
    # Results stand group after group. Those of singles are in packed order from 0 on; for the
    # others `put` says where the result of each packed token is.
    drafts: list[_Draft] = []
    put = list(range(num_singles))
    num_results = num_singles
    for _, members in groupby(longer, key=lambda pair: _size_class(pair[1])):
        part = list(members)
        width = max(count for _, count in part)  # T; at most 4 times the shortest of its class
        take, positions = [], []
        for row, count in part:
            first = firsts[row.slot]
            put += range(num_results, num_results + count)
            num_results += width
            # shorter rows repeat their first token, whose further results nothing is put to
            take += [*range(first, first + count), *[first] * (width - count)]
            start = row.num_filled
            positions += [*range(start, start + count), *[start] * (width - count)]
        length = _round_up(max(positions) + 1, cache.shape.length_step)
        slots = [row.slot for row, _ in part]
        side_by_side = _side_by_side(slots)
        numbers = [*positions, *take, *(slots if side_by_side is None else ())]
        drafts.append(_Draft(side_by_side, None, len(part), length, numbers))
    return drafts, put


def _blocks(positions: Sequence[int], shape: CacheShape) -> list[tuple[slice, int]]:
    """Cut slots into blocks of about equal length; return each with the tokens to look at.

    On a GPU it is one block: looking at masked tokens takes less time than one more call.
    """
    lengths = [_round_up(position + 1, shape.length_step) for position in positions]
    blocks: list[tuple[slice, int]] = []
    if lengths and not shape.on_cpu:
        return [(slice(0, len(lengths)), max(lengths))]
    begin = 0
    for end in (
        start + part
        for start in range(0, len(lengths), BLOCK)
        for part in cut_block(lengths[start : start + BLOCK])
    ):
        start, length = begin, max(lengths[begin:end])
        # nearly equal neighbours are looked at as one: masked tokens instead of one more product
        if blocks and abs(blocks[-1][1] - length) <= shape.length_step:
            last, other = blocks.pop()
            start, length = last.start, max(length, other)
        blocks.append((slice(start, end), length))
        begin = end
    return blocks


def cut_block(lengths: Sequence[int]) -> list[int]:
    """Return the ends of the parts of a block that take the least time.

    A row that goes on for ever would make all beside it as long as itself.

    Example:
      >>> cut_block([100, 100, 1000, 100]), cut_block([100, 120, 100, 110])
      ([2, 3, 4], [4])
    """
    if max(lengths) * len(lengths) - sum(lengths) <= CALL_TOKENS:  # the common case, quickly
        return [len(lengths)]
    costs, starts = [0], [0]
    for end in range(1, len(lengths) + 1):
        width, options = 0, []
        for start in range(end - 1, -1, -1):
            width = max(width, lengths[start])
            options.append((costs[start] + CALL_TOKENS + (end - start) * width, start))
        cost, start = min(options)
        costs.append(cost)
        starts.append(start)
    ends = [len(lengths)]
    while starts[ends[0]]:
        ends.insert(0, starts[ends[0]])
    return ends


def _side_by_side(slots: list[int]) -> slice | None:
    """Return ascending slots as a slice if they stand side by side, which needs no copy."""
    is_so = slots[-1] - slots[0] == len(slots) - 1
    return slice(slots[0], slots[-1] + 1) if is_so else None


def _size_class(count: int) -> int:
    """Return 0 for up to 4 tokens, 1 for up to 16, 2 for up to 64 and so on."""
    return max(0, (count - 1).bit_length() - 1) // 2


def _round_up(length: int, step: int) -> int:
    return length + (-length) % step
