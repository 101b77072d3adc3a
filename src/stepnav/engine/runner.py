"""Continuous batching: which rows run, what each forward pass reads, and what is kept of it.

A row is a token sequence that wants the model's output at some of its positions. Rows wait, are
admitted to a slot with everything the prefix tree knows of them, read the rest in packed passes,
and may then be pushed further token by token. Rows that would read the same new tokens wait for the
first of them.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

from stepnav.core.errors import ConfigError
from stepnav.engine.free_memory import give_back
from stepnav.engine.network import Network
from stepnav.engine.passes import BLOCK, plan_pass
from stepnav.engine.prefix_tree import Match, PrefixTree
from stepnav.engine.row import Row
from stepnav.engine.slots import SlotCache

SHARED_START = 8
"""A row waits for a running one if their next so many unread tokens are equal."""

PASS_TOKENS, GPU_PASS_TOKENS = 512, 4096
"""Most tokens of one pass; a GPU is not yet busy with few."""

GPU_LENGTH = 512
"""Tokens that each slot has from the first on, on a GPU."""


class Runner:
    """Runs rows through a model.

    Args:
      model: a `Llama`, or a `transformers` model in evaluation mode; its attention is set to ours.
      max_batch: most rows that run at once.
      max_batch_tokens: bound of rows x longest row (prompt and room), the slots' memory; None is
        what 2 GiB hold, on a GPU a quarter of what is free.
      cache_tokens: most tokens kept in the prefix tree, 0 for none; None is a quarter of that.
      pass_tokens: most tokens of one forward pass; None is `PASS_TOKENS` or `GPU_PASS_TOKENS`.
      row_step: on a CPU, passes are padded to a multiple of so many tokens (see `attention`), and
        slots come in as many.
      output_floats: size of one output kept in the tree.
      has_logits: whether the model can be asked for single positions (`logits_to_keep`).
      graphs: whether passes of single tokens are replayed (`PassGraphs`); None does on a GPU.

    Raises:
      ConfigError: there is no room for a row, or the model's outputs would be others than by
        itself.
    """

    def __init__(
        self,
        model: Any,
        *,
        max_batch: int = 64,
        max_batch_tokens: int | None = None,
        cache_tokens: int | None = None,
        pass_tokens: int | None = None,
        row_step: int = 16,
        output_floats: int = 0,
        has_logits: bool = True,
        graphs: bool | None = None,
    ) -> None:
        if max_batch < 1:
            raise ConfigError(f"max_batch must be at least 1 (got {max_batch})")
        self._network = Network(model, row_step=row_step, has_logits=has_logits, graphs=graphs)
        shape = self._network.shape
        self.token_bytes = shape.token_bytes
        unit = memory_unit(shape.device) // self.token_bytes
        self.max_batch = max_batch
        self._max_batch_tokens = 2 * unit if max_batch_tokens is None else max_batch_tokens
        if pass_tokens is None:
            pass_tokens = PASS_TOKENS if shape.on_cpu else GPU_PASS_TOKENS
        # rows that write are always fed; with so many tokens a prompt gets on beside them
        self._pass_tokens = max(pass_tokens, max_batch)
        self._row_step = self._network.row_step
        max_slots = max_batch + (-max_batch) % self._row_step
        self._cache = SlotCache(shape, max_slots, self._max_batch_tokens)
        if not shape.on_cpu and max_slots * GPU_LENGTH <= self._max_batch_tokens:
            self._cache.reserve(max_slots, GPU_LENGTH)  # each growth would void the graphs
        self.tree = PrefixTree(
            unit // 2 if cache_tokens is None else cache_tokens,
            # in tokens of the same size in memory, rounded up; an output is float32
            output_tokens=-(-4 * output_floats // self.token_bytes),
        )
        self._rows: list[Row] = []
        self._waiting: deque[Row] = deque()
        # what a row reads first -> rows that wait until that row is read and can be copied from
        self._leaders: dict[tuple[int, ...], list[Row]] = {}
        self.num_passes = 0
        self.num_read_tokens = 0

    @property
    def num_running(self) -> int:
        """Rows in slots."""
        return len(self._rows)

    @property
    def num_waiting(self) -> int:
        """Rows without a slot."""
        return len(self._waiting) + sum(map(len, self._leaders.values()))

    def submit(self, row: Row) -> None:
        """Queue a row."""
        self._waiting.append(row)

    def cancel(self, row: Row) -> None:
        """Drop a row, wherever it is."""
        if row.slot >= 0:
            self.release(row, keep=False)
        elif row in self._waiting:
            self._waiting.remove(row)
        else:
            for followers in self._leaders.values():
                if row in followers:
                    followers.remove(row)

    def admit(self) -> list[Row]:
        """Give slots to waiting rows; return those whose wanted outputs are all known already."""
        complete: list[Row] = []
        longest = max((len(row.tokens) + row.room for row in self._rows), default=0)
        while self._waiting and len(self._rows) < self.max_batch:
            # strictly in order: a long row that does not fit is waited for, not overtaken for ever
            row = self._waiting[0]
            longest = max(longest, len(row.tokens) + row.room)
            # all slots are as long as the longest row will be; one that is too long runs alone
            if self._rows and longest * (len(self._rows) + 1) > self._max_batch_tokens:
                break
            self._waiting.popleft()
            match = self.tree.match(row.tokens)
            row.outputs = {at: match.outputs[at] for at in row.wanted if at in match.outputs}
            is_complete = len(row.outputs) == len(row.wanted)
            row.num_cached = self._num_usable(row, match, is_complete)
            # without a tree a follower would find nothing to copy and could as well read at once
            if not is_complete and self.tree.max_tokens and self._follows(row):
                continue
            if is_complete:
                row.is_settled = True
                complete.append(row)
            if not is_complete or row.room:  # else nothing is read or written: no slot is needed
                self._start(row, match)
        return complete

    def forward(self) -> tuple[list[tuple[Row, int]], Any]:
        """Run one pass; return (row, position) pairs and their outputs in the same order."""
        if not self._rows:
            return [], None
        self._close_gaps()
        plan = plan_pass(self._rows, self._cache, self._pass_tokens, self._row_step)
        outputs = self._network.run(plan, self._cache)
        self.num_passes += 1
        self.num_read_tokens += plan.num_tokens
        for row, count in plan.fed:
            row.num_filled += count
        return plan.asked, outputs

    def settle(self, row: Row) -> None:
        """Keep a row whose wanted outputs are complete, and wake the rows that waited for it."""
        row.is_settled = True
        self._keep(row)
        self._wake(row)

    def release(self, row: Row, *, keep: bool) -> None:
        """Free a row's slot, keeping what it has read if asked to."""
        if row.slot < 0:
            return
        if keep:
            self._keep(row)
        self._rows.remove(row)
        # the next row masks these, but multiplies them by 0, and 0 * inf is no number
        self._cache.wipe(row.slot, row.num_filled)
        row.slot = -1
        if not row.is_settled:
            self._wake(row)

    def clear(self) -> None:
        """Forget all rows and everything kept."""
        for row in self._rows:
            self._cache.wipe(row.slot, row.num_filled)
            row.slot = -1
        self._rows.clear()
        self._waiting.clear()
        self._leaders.clear()
        self.tree.clear()

    def _num_usable(self, row: Row, match: Match, is_complete: bool) -> int:
        """Return how many known tokens need not be read again for the outputs still wanted."""
        if is_complete:
            return match.length
        missing = next(at for at in row.wanted if at not in row.outputs)
        if row.reads_all:  # each output needs the one before it, kept at the last wanted position
            return max((at + 1 for at in row.outputs if at < missing), default=0)
        # to ask for an output its token must be read, even where its keys and values are known
        return min(match.length, missing)

    def _follows(self, row: Row) -> bool:
        """Return whether the row waits for one that reads the same; else it leads from now on."""
        # Equal in all that is known and a few tokens more: such rows (samples of one prompt, steps
        # after one prefix) mostly share the rest of what is unread too. Where they do not, they
        # have at least these few tokens for their waiting.
        key = tuple(row.tokens[: row.num_cached + SHARED_START])
        if key in self._leaders:
            self._leaders[key].append(row)
            return True
        row.key = key
        self._leaders[key] = []
        return False

    def _wake(self, row: Row) -> None:
        self._waiting.extendleft(reversed(self._leaders.pop(row.key, [])))

    def _start(self, row: Row, match: Match) -> None:
        """Give the row a slot and copy what is known into it."""
        row.slot = self._choose_slot(len(row.tokens))
        # room for what rows will write is taken in bites: most end long before their limit
        rows = [*self._rows, row]
        num_slots = max(item.slot for item in rows) + 1
        self._cache.reserve(
            num_slots + (-num_slots) % self._row_step,
            max(len(item.tokens) + min(item.room, 64) for item in rows),
        )
        position = 0
        for key_values, count in match.segments:
            count = min(count, row.num_cached - position)
            if count <= 0:
                break
            # key_values [layers, 2, G, tokens, D] of one node of the tree
            self._cache.write(row.slot, position, key_values[..., :count, :])
            position += count
        row.num_filled = row.num_cached
        self._rows.append(row)

    def _choose_slot(self, length: int) -> int:
        """Return the free slot whose neighbours are nearest in length.

        Attention looks at a block of slots up to its longest row.
        """
        # some slot up to the number of rows is free; gaps are closed before the next pass
        taken = {row.slot for row in self._rows}
        longest: dict[int, int] = {}
        for row in self._rows:
            block = row.slot // BLOCK
            longest[block] = max(longest.get(block, 0), len(row.tokens))
        free = (slot for slot in range(len(taken) + 1) if slot not in taken)
        return min(free, key=lambda slot: abs(longest.get(slot // BLOCK, length) - length))

    def _keep(self, row: Row) -> None:
        slot, num_evicted = row.slot, self.tree.num_evicted
        self.tree.insert(
            row.tokens[: row.num_filled],
            lambda start, end: self._cache.read(slot, start, end),
            {at: row.outputs[at] for at in row.wanted if at in row.outputs},
        )
        if self.tree.num_evicted != num_evicted and self._cache.shape.on_cpu:
            give_back()  # a tenth of the tree at once

    def _close_gaps(self) -> None:
        """Move the last rows to free slots below, so that running rows stand side by side."""
        self._rows.sort(key=lambda row: row.slot)
        # side by side, a pass of single tokens needs no indices (`passes`); moving one row now and
        # then costs less than gathering all rows in every layer of every pass
        free = sorted(set(range(len(self._rows))) - {row.slot for row in self._rows})
        for slot in free:
            row = self._rows.pop()
            self._cache.move(row.slot, slot, row.num_filled)
            row.slot = slot
            self._rows.append(row)
            self._rows.sort(key=lambda row: row.slot)


def memory_unit(device: Any) -> int:
    """Return half the bytes for running rows: 1 GiB, on a GPU an eighth of what is free if more."""
    usual: int = 2**30
    if device.type == "cpu" or not torch.cuda.is_available():
        return usual
    free, _ = torch.cuda.mem_get_info(device)
    return max(usual, int(free) // 8)
