"""Samples whole solutions in large batches, to make training data.

Searches use the engine in `policies`. Prompts of equal token length share a batch, so that nothing
is padded or masked; finished rows are dropped as they pile up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

COMPACT_SHARE = 0.75
"""Rows are compacted once fewer than this share are still being written."""


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One solution to sample.

    Attributes:
      prompt: text before the solution, without BOS.
      temperature: 0 takes the likeliest token.
    """

    prompt: str
    temperature: float = 1.0


class _PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer in buffers of fixed size; a step writes one column."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.is_initialized: bool = False
        self.capacity = capacity
        self.used = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            rows, heads, _, size = key_states.shape
            self.keys = key_states.new_empty((rows, heads, self.capacity, size))
            self.values = torch.empty_like(self.keys)
            self.dtype, self.device = key_states.dtype, key_states.device
            self.is_initialized = True
        end = self.used + key_states.shape[2]
        self.keys[:, :, self.used : end] = key_states
        self.values[:, :, self.used : end] = value_states
        self.used = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.used

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these."""
        self.keys, self.values = self.keys[rows], self.values[rows]


def sample_solutions(
    model: Any,
    tokenizer: Any,
    requests: Sequence[SampleRequest],
    *,
    seed: int,
    max_new_tokens: int = 256,
    batch_rows: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Return one sampled solution per request, in order, without the EOS token.

    Args:
      model: a `transformers` causal LM in evaluation mode.
      tokenizer: its fast tokenizer.
      requests: what to sample.
      seed: seeds every batch.
      max_new_tokens: a longer solution is cut.
      batch_rows: solutions sampled at once.
      progress: called with (solutions done, solutions in all).
    """
    num_done = 0
    solutions = [""] * len(requests)
    prompts = tokenizer([request.prompt for request in requests], add_special_tokens=False)[
        "input_ids"
    ]
    for number, rows in enumerate(_equal_length_batches([len(ids) for ids in prompts], batch_rows)):
        generator = torch.Generator(device=model.device).manual_seed(seed * 1_000_003 + number)
        ids = torch.tensor(
            [[tokenizer.bos_token_id, *prompts[row]] for row in rows], device=model.device
        )
        temperatures = torch.tensor(
            [requests[row].temperature for row in rows], device=model.device
        )
        tokens = _sample_batch(
            model,
            ids,
            temperatures,
            eos_id=tokenizer.eos_token_id,
            generator=generator,
            max_new_tokens=max_new_tokens,
        )
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        for row, text in zip(rows, texts, strict=True):
            solutions[row] = text
        num_done += len(rows)
        if progress is not None:
            progress(num_done, len(requests))
    return solutions


def _equal_length_batches(lengths: Sequence[int], batch_rows: int) -> Iterator[list[int]]:
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, length in enumerate(lengths):
        by_length[length].append(row)
    for length in sorted(by_length):
        rows = by_length[length]
        for start in range(0, len(rows), batch_rows):
            yield rows[start : start + batch_rows]


@torch.inference_mode()  # type: ignore[untyped-decorator]
def _sample_batch(
    model: Any,
    ids: torch.Tensor,
    temperatures: torch.Tensor,
    *,
    eos_id: int,
    generator: torch.Generator,
    max_new_tokens: int,
) -> list[list[int]]:
    """Return the new tokens of each row, EOS excluded."""
    layers = [
        _PreallocatedLayer(ids.shape[1] + max_new_tokens)
        for _ in range(model.config.num_hidden_layers)
    ]
    cache = Cache(layers=layers)
    written: list[list[int]] = [[] for _ in range(len(ids))]
    open_rows = torch.arange(len(ids))
    is_open = torch.ones(len(ids), dtype=torch.bool)
    tokens = ids
    for _ in range(max_new_tokens):
        logits = (
            model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
            .logits[:, -1]
            .float()
        )
        next_tokens = _draw(logits, temperatures, generator)
        drawn = next_tokens.tolist()
        for position, row in enumerate(open_rows.tolist()):
            if is_open[position]:
                if drawn[position] == eos_id:
                    is_open[position] = False
                else:
                    written[row].append(drawn[position])
        tokens = next_tokens[:, None]
        num_open = int(is_open.sum())
        if num_open == 0:
            break
        if num_open < COMPACT_SHARE * len(is_open):
            kept = is_open.nonzero()[:, 0]
            for layer in layers:
                layer.keep(kept.to(model.device))
            tokens, temperatures = (
                tokens[kept.to(model.device)],
                temperatures[kept.to(model.device)],
            )
            open_rows, is_open = open_rows[kept], is_open[kept]
    return written


def _draw(
    logits: torch.Tensor, temperatures: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Return one token per row: Gumbel-max at its temperature, the likeliest one at 0."""
    gumbel = -torch.empty_like(logits).exponential_(generator=generator).clamp_min(1e-20).log()
    return torch.argmax(logits + temperatures[:, None] * gumbel, dim=-1)
