"""Batches of token trees, without padding where the model's attention allows it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stepnav.train.solutions import Mark, Tree


@dataclass(frozen=True, slots=True)
class TreeCollator:
    """Makes one batch of some groups of trees: one or several passes through the model.

    Shapes: B rows, T tokens, M labelled steps.

    Attributes:
      pad_id: fills rows up.
      is_packed: whether trees may share rows and have branches. Else each tree must be a plain
        solution, and has a row of its own, as any trainer would lay it out.
      pass_tokens: packed: trees of like length go through the model together, about so many tokens
        at once, each in a row of its own, which wastes least where small passes cost nothing; None
        fills the rows of one pass with several trees each.
    """

    pad_id: int
    is_packed: bool
    pass_tokens: int | None = None

    def __call__(self, groups: Sequence[Sequence[Tree]]) -> dict[str, Any]:
        """Return `passes`, and the `labels` [M] of all of them with their `weights` [M], in order.

        A pass has `input_ids` [B, T] and `places` of its labels, which count tokens over all rows;
        `attention_mask` [B, T] if it is plain, `position_ids` and `ends` [B, T] (see `tree_mask`)
        if its trees have branches or share rows. Without those, causal attention is all it needs:
        what fills a row up comes after everything else.
        """
        trees = [tree for group in groups for tree in group]
        if not self.is_packed:
            passes = [(trees, [[index] for index in range(len(trees))])]
        elif self.pass_tokens is None:
            width = max(map(len, trees))
            passes = [(trees, fill_rows([len(tree) for tree in trees], width))]
        else:
            passes = [
                ([trees[index] for index in part], [[index] for index in range(len(part))])
                for part in split_passes([len(tree) for tree in trees], self.pass_tokens)
            ]
        laid_out = [self._lay_out(*item) for item in passes]
        marks = [mark for _, found in laid_out for mark in found]
        return {
            "passes": [inputs for inputs, _ in laid_out],
            "labels": torch.tensor([mark.target for mark in marks]),
            "weights": torch.tensor([mark.weight for mark in marks]),
        }

    def _lay_out(
        self, trees: Sequence[Tree], rows: Sequence[Sequence[int]]
    ) -> tuple[dict[str, torch.Tensor], list[Mark]]:
        """Return the inputs of one pass, and what is to be learnt at its places."""
        width = max(map(len, trees))
        ids = torch.full((len(rows), width), self.pad_id)
        positions = torch.zeros((len(rows), width), dtype=torch.long)
        ends = torch.arange(1, width + 1).repeat(len(rows), 1)  # padding sees itself only
        filled = torch.zeros((len(rows), width), dtype=torch.long)
        places: list[int] = []
        marks: list[Mark] = []
        for number, row in enumerate(rows):
            start = 0
            for tree in (trees[index] for index in row):
                here = slice(start, start + len(tree))
                ids[number, here] = torch.tensor(tree.ids)
                positions[number, here] = torch.tensor(tree.positions)
                ends[number, here] = torch.tensor(tree.ends) + start
                filled[number, here] = 1
                places += [number * width + start + mark.place for mark in tree.marks]
                marks += tree.marks
                start += len(tree)
        inputs = {"input_ids": ids, "places": torch.tensor(places)}
        if not self.is_packed:
            inputs["attention_mask"] = filled
        elif len(rows) < len(trees) or any(tree.has_branches for tree in trees):
            inputs.update(position_ids=positions, ends=ends)
        return inputs, marks


def split_passes(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Return which trees go through the model together.

    Longest first, and as many as make `max_tokens` when all are filled up to the longest.

    Args:
      lengths: of the trees.
      max_tokens: most tokens of a pass, filled up; a longer tree goes alone.
    """
    parts: list[list[int]] = []
    width = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not parts or width * (len(parts[-1]) + 1) > max_tokens:
            parts.append([])
            width = lengths[index]
        parts[-1].append(index)
    return parts


def fill_rows(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Return which trees stand in which row: longest first, each in the first row with room.

    Args:
      lengths: of the trees, none above `width`.
      width: of a row.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        row = next((r for r, left in enumerate(room) if left >= lengths[index]), None)
        if row is None:
            rows.append([])
            room.append(width)
            row = len(rows) - 1
        rows[row].append(index)
        room[row] -= lengths[index]
    return rows


def tree_mask(ends: torch.Tensor) -> torch.Tensor:
    """Return which tokens each token attends to, [B, 1, T, T]: itself and its ancestors.

    In depth-first order token j is an ancestor of token i if j <= i and i comes before j's end.

    Args:
      ends: one past the last descendant of each token, [B, T].
    """
    steps = torch.arange(ends.shape[1], device=ends.device)
    is_before = steps[None, :] <= steps[:, None]
    return (is_before & (steps[None, :, None] < ends[:, None, :]))[:, None]


def can_pack(model: Any, max_length: int) -> bool:
    """Return whether a model can be given trees.

    All its layers must attend to all earlier tokens, and take positions that are told: ALiBi and a
    forward without `position_ids` count tokens in their row instead.
    """
    text = model.config.get_text_config()
    window = getattr(text, "sliding_window", None)
    has_window = window is not None and getattr(text, "use_sliding_window", True)
    is_windowed = has_window and window is not None and window < max_length
    kinds = set(getattr(text, "layer_types", None) or getattr(text, "attention_layers", None) or ())
    is_attention = hasattr(text, "num_attention_heads") and kinds <= {
        "full_attention",
        "sliding_attention",
        "global",  # GPT-Neo's, whose "local" layers have a window
    }
    takes_positions = "position_ids" in inspect.signature(type(model).forward).parameters
    has_alibi = getattr(text, "alibi", False) is True
    return is_attention and takes_positions and not is_windowed and not has_alibi
