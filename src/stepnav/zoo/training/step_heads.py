"""The built heads of the grafted layers that look at whole steps (`graft.py`).

They find the least likely token of the step at hand: from separators alone, so that a step may be
of any length.
"""

from __future__ import annotations

import math
from typing import Any

import torch

FEATURE_UNIT = 5.0
"""Logits per unit of the feature, so that it is about as large as the rest of the stream."""
MAX_DOUBT = 6.0
"""Nats at which a token is as unlikely as can be: what is odder than an error is odd, not wrong."""
DOUBT_SLOPE = 3.0
"""How much more the pooling attention looks at a token per nat that it is less likely."""
STEP_BONUS = 40.0
"""How much more it looks at a token per step that it comes later: the step at hand always wins, as
this is more than `MAX_DOUBT * DOUBT_SLOPE`."""
COUNTED_STEPS = 1000.0
"""A count of steps is a share of so many, which makes it nearly linear."""
STEP_UNIT = 10.0
"""Steps per unit of the count, so that it is about as large as the rest of the stream."""
SOLUTION_BONUS = 80.0
"""How much it prefers tokens of the solution to those of the question."""
SEPARATOR_LOSS = 110.0
"""How much less it looks at separators: a step's own is where the rating is read."""


class Stream:
    """What stands where in the residual stream of a graft [W = 3 D + free dimensions].

    Attributes:
      own, embedding, prediction: the backbone's states, the token's embedding, and the prediction
        of the token before; D each.
      feature: how likely the token was.
      pooled: the lowest `clipped` of the step.
      in_solution: whether a separator came before or stands here.
      num_steps: how many did, in units of `STEP_UNIT`.
      is_separator: whether the token is one.
      one: the number 1.
      clipped: the feature, but at least that of `MAX_DOUBT`.
    """

    def __init__(self, narrow: int) -> None:
        self.own = slice(0, narrow)
        self.embedding = slice(narrow, 2 * narrow)
        self.prediction = slice(2 * narrow, 3 * narrow)
        self.feature, self.pooled, self.in_solution, self.num_steps = range(
            3 * narrow, 3 * narrow + 4
        )
        self.is_separator, self.one, self.clipped = range(3 * narrow + 4, 3 * narrow + 7)


def build_step_heads(
    marks: Any,
    pool: Any,
    *,
    stream: Stream,
    separator: torch.Tensor,
    first: torch.Tensor,
    head_size: int,
) -> None:
    """Write two layers that write nothing yet: what marks steps, and what pools over one.

    Args:
      marks, pool: the layers, one after the other.
      stream: of the model.
      separator, first: directions [D] that tell separators, and the first token, from all others
        by their embeddings.
      head_size: entries of a head.
    """
    heads = _StepHeads(stream, separator, first, head_size)
    heads.mark_solution(marks)
    heads.count_steps(marks)
    heads.mark_separators(marks)
    heads.clip(marks)
    heads.pool(pool)


class _StepHeads:
    def __init__(
        self, stream: Stream, separator: torch.Tensor, first: torch.Tensor, head_size: int
    ) -> None:
        self.stream, self.separator, self.first = stream, separator, first
        self.head_size = head_size

    def mark_solution(self, layer: Any) -> None:
        """Write into the third free dimension whether a separator came before or stands here.

        One head that looks at separators only; the question ends with the first one.
        """
        # The slowest rotary frequency hardly turns within a text, so that a score written along it
        # is the same at every distance; this query's length undoes the division by sqrt(head size).
        attention, slow = layer.self_attn, self.head_size // 2 - 1
        self.clear_head(attention, 0)
        attention.q_proj.bias[slow] = math.sqrt(self.head_size)
        # A separator scores 15 and all else about 0: one in the context takes nearly all of the
        # head's attention, and the mean of values is 1; without one it is 0.
        attention.k_proj.weight[slow, self.stream.embedding] = 15.0 * self.separator
        attention.v_proj.weight[0, self.stream.embedding] = self.separator
        attention.o_proj.weight[self.stream.in_solution, 0] = 1.0

    def count_steps(self, layer: Any) -> None:
        """Write how many separators came before or stand here into the fourth free dimension.

        One head that looks at the first token, BOS, and at separators, each of which has a small
        part of the weight of BOS: the mean of values that are 1 at separators is then nearly linear
        in their number.
        """
        attention, size = layer.self_attn, self.head_size
        slow = size + size // 2 - 1  # of the second head, as in `mark_solution`
        self.clear_head(attention, 1)
        attention.q_proj.bias[slow] = math.sqrt(size)
        score = 12.0  # of a separator; hundreds of other tokens, at about 0, hardly count
        attention.k_proj.weight[slow, self.stream.embedding] = (
            score * self.separator + (score + math.log(COUNTED_STEPS)) * self.first
        )
        attention.v_proj.weight[size, self.stream.embedding] = self.separator
        attention.o_proj.weight[self.stream.num_steps, size] = COUNTED_STEPS / STEP_UNIT

    def mark_separators(self, layer: Any) -> None:
        """Write whether the token is a separator into the fifth free dimension; the sixth holds 1.

        One neuron: silu(40 (probe - 0.6)) / 16 is 1 where the probe gives 1, 0 at other tokens.
        """
        layer.self_attn.o_proj.bias[self.stream.one] = 1.0
        layer.mlp.gate_proj.weight[0] = 0.0
        layer.mlp.gate_proj.weight[0, self.stream.embedding] = 40.0 * self.separator
        layer.mlp.gate_proj.weight[0, self.stream.one] = -0.6 * 40.0
        layer.mlp.up_proj.weight[0] = 0.0
        layer.mlp.up_proj.weight[0, self.stream.one] = 1.0
        layer.mlp.down_proj.weight[self.stream.is_separator, 0] = 1.0 / 16.0

    def clip(self, layer: Any) -> None:
        """Write the feature, but at least -`MAX_DOUBT` nats, into the seventh free dimension.

        One neuron: silu(10 x) / 10 is about x above 0 and about 0 below.
        """
        lowest = -MAX_DOUBT / FEATURE_UNIT
        layer.self_attn.o_proj.bias[self.stream.clipped] = lowest
        layer.mlp.gate_proj.weight[1] = 0.0
        layer.mlp.gate_proj.weight[1, self.stream.feature] = 10.0
        layer.mlp.gate_proj.weight[1, self.stream.one] = -10.0 * lowest
        layer.mlp.up_proj.weight[1] = 0.0
        layer.mlp.up_proj.weight[1, self.stream.one] = 1.0
        layer.mlp.down_proj.weight[self.stream.clipped, 1] = 1.0 / 10.0

    def pool(self, layer: Any) -> None:
        """Write the step's lowest clipped feature into the second free dimension.

        One head: its scores grow as the feature falls and with the number of steps, and leave out
        separators and the question, whose tokens the backbone never learned to expect.
        """
        # this layer and its MLP, which is trained, read the free dimensions at their own size
        attention, size = layer.self_attn, self.head_size
        slow = size // 2 - 1
        self.clear_head(attention, 0)
        # what is looked for goes along the slowest frequency (as in `mark_solution`)
        attention.q_proj.bias[slow] = math.sqrt(size)
        key = attention.k_proj.weight[slow]
        key[self.stream.clipped] = -DOUBT_SLOPE * FEATURE_UNIT
        key[self.stream.in_solution] = SOLUTION_BONUS
        key[self.stream.num_steps] = STEP_BONUS * STEP_UNIT
        key[self.stream.is_separator] = -SEPARATOR_LOSS
        attention.v_proj.weight[0, self.stream.clipped] = 1.0
        attention.o_proj.weight[self.stream.pooled, 0] = 1.0

    def clear_head(self, attention: Any, number: int) -> None:
        """Empty a head."""
        size = self.head_size
        for name in "qkv":
            getattr(attention, f"{name}_proj").weight[number * size : (number + 1) * size] = 0.0
