"""Runs models that keep no keys and values, for instance encoders: every row is read whole.

The same interface as `Runner`; outputs are remembered, so that an equal row is not read again.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

from stepnav.engine.row import Row

MAX_KEPT = 65536


class PlainRunner:
    """Runs rows through a sequence classifier, those of equal length together.

    Rows are never padded, so an output does not depend on what else is in the pass.

    Args:
      model: a `transformers` model that gives one output per sequence, in evaluation mode.
      max_batch: most rows in one pass.
      pass_tokens: most tokens of one pass; a longer row runs alone.
    """

    def __init__(self, model: Any, *, max_batch: int = 64, pass_tokens: int = 1024) -> None:
        self._model = model
        self._max_batch = max_batch
        self._pass_tokens = pass_tokens
        self._waiting: deque[Row] = deque()
        self._running: list[Row] = []
        self._known: dict[tuple[int, ...], dict[int, Any]] = {}
        self.num_passes = 0
        self.num_read_tokens = 0

    @property
    def num_running(self) -> int:
        """Rows in the next pass."""
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        """Rows that wait for a later pass."""
        return len(self._waiting)

    def submit(self, row: Row) -> None:
        """Queue a row."""
        self._waiting.append(row)

    def cancel(self, row: Row) -> None:
        """Drop a row, wherever it is."""
        if row in self._running:
            self._running.remove(row)
        elif row in self._waiting:
            self._waiting.remove(row)

    def admit(self) -> list[Row]:
        """Choose the rows of the next pass; return those whose output is known already."""
        complete = [row for row in self._waiting if tuple(row.tokens) in self._known]
        for row in complete:
            self._waiting.remove(row)
            row.outputs = dict(self._known[tuple(row.tokens)])
            row.num_cached = len(row.tokens)
        if self._running or not self._waiting:
            return complete
        length = len(self._waiting[0].tokens)
        room = max(1, min(self._max_batch, self._pass_tokens // length))
        if self._model.config.get_text_config().pad_token_id is None:
            room = 1  # such decoders refuse more
        chosen: dict[tuple[int, ...], Row] = {}  # equal rows wait for the first of them
        for row in self._waiting:
            if len(row.tokens) == length and len(chosen) < room:
                chosen.setdefault(tuple(row.tokens), row)
        self._running = list(chosen.values())
        for row in self._running:
            self._waiting.remove(row)
        return complete

    def forward(self) -> tuple[list[tuple[Row, int]], Any]:
        """Run one pass; return (row, last wanted position) pairs and their outputs."""
        if not self._running:
            return [], None
        rows = self._running
        ids = torch.tensor([row.tokens for row in rows], device=self._model.device)
        with torch.inference_mode():
            outputs = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        self.num_passes += 1
        self.num_read_tokens += ids.numel()
        for row in rows:
            row.num_filled = len(row.tokens)
        return [(row, row.wanted[-1]) for row in rows], outputs.float()

    def settle(self, row: Row) -> None:
        """Remember the outputs of a row."""
        if len(self._known) >= MAX_KEPT:
            self._known.clear()
        self._known[tuple(row.tokens)] = dict(row.outputs)

    def release(self, row: Row, *, keep: bool) -> None:
        """Take a row out of the next pass."""
        if row in self._running:
            self._running.remove(row)

    def clear(self) -> None:
        """Forget all rows and everything kept."""
        self._waiting.clear()
        self._running.clear()
        self._known.clear()
