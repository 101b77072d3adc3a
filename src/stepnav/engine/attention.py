"""Attention of packed tokens over slots, the same bits for a row whatever else is in the pass.

Matrix kernels choose their order of summation by shape, so shapes are kept out of it: whatever a
row brings, each kv head is a product of its own over the head size, of at least `MIN_ROWS` rows
(fewer are padded), and sums over cached tokens go in blocks of `SUM_BLOCK`. That kernels keep their
order over the shapes that are left is measured, not guaranteed: for float32 on x86 CPUs (MKL) with
one thread. Elsewhere results are correct, but perhaps not bit-exact; tests/engine/test_runner.py
tells for the CPU at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

MIN_ROWS = 4
"""Rows of each product are filled up to a multiple of this."""

SUM_BLOCK = 128
"""Cached tokens that are summed by one product."""

LENGTH_STEP = 16
"""Cached tokens that are looked at are a multiple of this, so that there are few shapes."""


@dataclass(slots=True)
class Group:
    """Rows of one pass that bring about equally many tokens: R rows of T tokens.

    Attributes:
      slots: their slots; a slice where they stand side by side, else indices.
      take: [R * T] packed index of each token, or a slice.
      positions: [R, T] position of each token within its row.
      length: cached tokens to look at, a multiple of `LENGTH_STEP`.
      masks: additive masks by window and shape, made when first needed and shared by the layers.
    """

    slots: Any
    take: Any
    positions: Any
    length: int
    masks: dict[Any, Any] = field(default_factory=dict)

    def mask(self, window: int | None, heads: int, repeats: int, dtype: Any) -> Any:
        """Return the causal mask [R * G, M, length], cut to a sliding window if there is one.

        Args:
          window: tokens seen, None for all.
          heads: kv heads (G).
          repeats: query heads of each kv head (g); M is T times as many, filled up to a multiple of
            `MIN_ROWS`.
          dtype: of the scores.
        """
        # The mask does not depend on the layer, only on its window and head counts: layers that are
        # alike share one, which is made once a pass instead of once a layer.
        key = (window, heads, repeats)
        if key not in self.masks:
            rows, count = self.positions.shape
            steps = torch.arange(self.length, device=self.positions.device)
            positions = self.positions[..., None]
            # [R, T, length]; what stands in the slot beyond the row's own tokens is of later
            # positions too, so causality also hides what other rows left there
            seen = steps <= positions
            if window is not None:
                seen &= steps > positions - window
            mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
            # a kv head's g query heads are rows of its product: [R, G, T, g, length]
            mask = mask.masked_fill_(~seen, float("-inf"))[:, None, :, None]
            mask = mask.expand(rows, heads, count, repeats, self.length)
            mask = mask.reshape(rows * heads, count * repeats, self.length)
            # rows that only fill up see everything: a row of -inf alone would be NaN after softmax
            self.masks[key] = functional.pad(mask, (0, 0, 0, -(count * repeats) % MIN_ROWS))
        return self.masks[key]


@dataclass(slots=True)
class Plan:
    """What one forward pass attends to.

    Attributes:
      groups: all rows of the pass.
      put: [N] where each packed token's result stands in the groups' results, one after the
        other; None if they are in order already.
      write: [N * G] rows of the flattened slots [S, G, length, D] that take the new keys and
        values.
    """

    groups: list[Group]
    put: Any
    write: Any


def attend(
    plan: Plan,
    queries: Any,
    keys: Any,
    values: Any,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Any = None,
) -> Any:
    """Return what packed tokens attend to, [N, H, D], for their queries [N, H, D].

    Shapes: N packed tokens, H = G * g query heads, G kv heads, D head size, S slots; a group has R
    rows of T tokens.

    Args:
      plan: of the pass.
      queries: [N, H, D].
      keys, values: the layer's whole stores [S, G, slot length, D], this pass's own tokens in them.
      scale: what scores are multiplied by.
      window: tokens seen, None for all.
      softcap: bound that scores are bent to, None for none (Gemma 2).
      sinks: scores [H] of a further token that takes a share and gives nothing (gpt-oss).
    """
    results = []
    for group in plan.groups:
        rows, count = group.positions.shape
        chosen = queries[group.take]  # [R * T, H, D]; a view where `take` is a slice
        # [R, G, T, g, D]: query heads h * g to h * g + g - 1 share kv head h
        parts = chosen.reshape(rows, count, keys.shape[1], -1, chosen.shape[-1]).transpose(1, 2)
        # [R * G, length, D]; slots that stand side by side are not copied for it
        seen = keys[:, :, : group.length][group.slots].flatten(0, 1)
        known = values[:, :, : group.length][group.slots].flatten(0, 1)
        if is_fused(queries, softcap, sinks):
            result = attend_fused(group, parts, seen, known, scale, window)
        else:
            result = _attend_group(group, parts, seen, known, scale, window, softcap, sinks)
        results.append(result.transpose(1, 2).reshape(rows * count, *queries.shape[1:]))
    # [sum of R * T, H, D] in the groups' order; `put` picks the N in packed order, and leaves out
    # the tokens that filled short rows of a group up
    merged = results[0] if len(results) == 1 else torch.cat(results)
    return merged if plan.put is None else merged[plan.put]


def is_fused(queries: Any, softcap: float | None, sinks: Any) -> bool:
    """Return whether torch's own attention does it: one call, whose bits depend on the company.

    Only float32 on a CPU promises more. In bfloat16 there one call takes a third of the time of our
    products (16 rows of 9 heads, 300 to 700 tokens; `benchmarks/engine.py --dtype bfloat16`).
    """
    is_exact = queries.device.type == "cpu" and queries.dtype == torch.float32
    return not is_exact and softcap is None and sinks is None


def attend_fused(
    group: Group, parts: Any, keys: Any, values: Any, scale: float, window: int | None
) -> Any:
    """Return what `_attend_group` does but for rounding, by one call.

    The g query heads of a kv head stand as rows of one product, so that no kernel need know of
    grouped heads, which few do.
    """
    rows, heads, count, repeats, width = parts.shape
    length = keys.shape[1]
    result = functional.scaled_dot_product_attention(
        parts.reshape(rows, heads, count * repeats, width),
        keys.view(rows, heads, length, width),
        values.view(rows, heads, length, width),
        attn_mask=group.mask(window, 1, repeats, parts.dtype)[:, None, : count * repeats],
        scale=scale,
    )
    return result.view(parts.shape)


def _attend_group(
    group: Group,
    parts: Any,
    keys: Any,
    values: Any,
    scale: float,
    window: int | None,
    softcap: float | None,
    sinks: Any,
) -> Any:
    """Return [R, G, T, g, D] for as many queries; keys and values are [R * G, length, D].

    Each kv head is one product of M = T * g rows, filled up to a multiple of `MIN_ROWS`. Sinks [H]
    are scores of each query head that take a share of its attention and give nothing (gpt-oss).
    """
    rows, heads, count, repeats, width = parts.shape
    num_rows = count * repeats
    queries = parts.reshape(rows * heads, num_rows, width)  # [R * G, M, D]
    # A row that writes brings one token, so M is g, often 1; one that reads brings many. Products
    # of one or two rows are computed by other kernels, which sum in another order: filled up, a
    # token gets the same bits whether it comes alone or with others.
    if num_rows % MIN_ROWS:
        queries = functional.pad(queries, (0, 0, 0, -num_rows % MIN_ROWS))
    mask = group.mask(window, heads, repeats, queries.dtype)
    # scores [R * G, M, length]
    if softcap is None:
        scores = torch.baddbmm(mask, queries, keys.transpose(1, 2), alpha=scale)
    else:
        scores = torch.bmm(queries, keys.transpose(1, 2)).mul_(scale)
        scores = torch.tanh(scores / softcap).mul_(softcap).add_(mask)
    if sinks is not None:
        # The sinks are one more column. It comes with a whole step of columns, the others at -inf
        # (a share of 0), so that the width of the softmax stays a multiple of `LENGTH_STEP`.
        sunk = sinks.to(scores.dtype).view(heads, 1, repeats).expand(rows, heads, count, repeats)
        sunk = sunk.reshape(rows * heads, num_rows, 1)
        sunk = functional.pad(sunk, (LENGTH_STEP - 1, 0), value=float("-inf"))
        sunk = functional.pad(sunk, (0, 0, 0, scores.shape[1] - num_rows))
        scores = torch.cat([sunk, scores], dim=-1)
    # in float32 as in `transformers`' own attention, whatever the model computes in
    probs = torch.softmax(scores, dim=-1, dtype=torch.float32).to(values.dtype)
    if sinks is not None:
        probs = probs[..., LENGTH_STEP:]  # a sink has no value to add
    return _weighted_sum(probs, values)[:, :num_rows].reshape(parts.shape)


def _weighted_sum(probs: Any, values: Any) -> Any:
    """Return probs @ values [R * G, M, D], so that trailing masked tokens change nothing."""
    # `length` is that of the longest row in the group. One product over it may split its sum by
    # the length, so by the company that a row is in. In blocks, a row's own tokens always stand in
    # the same ones, and blocks beyond them add exactly 0, since all their shares are 0.
    result = torch.bmm(probs[..., :SUM_BLOCK], values[:, :SUM_BLOCK])
    for start in range(SUM_BLOCK, values.shape[1], SUM_BLOCK):
        end = start + SUM_BLOCK
        result = result + torch.bmm(probs[..., start:end], values[:, start:end])
    return result
