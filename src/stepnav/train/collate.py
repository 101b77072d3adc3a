"""Batches of token trees, without padding where the model's attention allows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stepnav.train.solutions import Tree


@dataclass(frozen=True, slots=True)
class TreeCollator:
    """Makes one batch of some groups of trees.

    Shapes: B rows, T tokens, M labelled steps.

    Attributes:
      pad_id: fills rows up.
      is_packed: whether several trees stand in one row, each seeing itself only. Else each tree must be
        a plain solution, and has a row of its own.
    """

    pad_id: int
    is_packed: bool

    def __call__(self, groups: Sequence[Sequence[Tree]]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `position_ids` [B, T], `places` and `labels` [M], and what attention needs.

        `places` counts tokens over all rows. Packed batches have `ends` [B, T] (see `tree_mask`), plain ones
        `attention_mask` [B, T].
        """
        trees = [tree for group in groups for tree in group]
        width = max(map(len, trees))
        rows = (
            fill_rows([len(tree) for tree in trees], width) if self.is_packed else _one_each(trees)
        )
        ids = torch.full((len(rows), width), self.pad_id)
        positions = torch.zeros((len(rows), width), dtype=torch.long)
        ends = torch.arange(1, width + 1).repeat(len(rows), 1)  # padding sees itself only
        filled = torch.zeros((len(rows), width), dtype=torch.long)
        places: list[int] = []
        labels: list[float] = []
        for number, row in enumerate(rows):
            start = 0
            for tree in (trees[index] for index in row):
                here = slice(start, start + len(tree))
                ids[number, here] = torch.tensor(tree.ids)
                positions[number, here] = torch.tensor(tree.positions)
                ends[number, here] = torch.tensor(tree.ends) + start
                filled[number, here] = 1
                places += [number * width + start + index for index, _ in tree.marks]
                labels += [label for _, label in tree.marks]
                start += len(tree)
        batch = {"input_ids": ids, "places": torch.tensor(places), "labels": torch.tensor(labels)}
        if self.is_packed:
            return {**batch, "position_ids": positions, "ends": ends}
        return {**batch, "attention_mask": filled}


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


def can_pack(config: Any, max_length: int) -> bool:
    """Return whether a model can be given trees: all its layers attend to all earlier tokens."""
    text = config.get_text_config()
    window = getattr(text, "sliding_window", None)
    has_window = window is not None and getattr(text, "use_sliding_window", True)
    is_windowed = has_window and window is not None and window < max_length
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    is_attention = hasattr(text, "num_attention_heads") and kinds <= {
        "full_attention",
        "sliding_attention",
    }
    return is_attention and not is_windowed


def _one_each(trees: Sequence[Tree]) -> list[list[int]]:
    return [[index] for index in range(len(trees))]
