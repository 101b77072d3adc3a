"""Trajectories as tokens by a `StepFormat`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from stepnav.rewards.local.piece_encoder import PieceEncoder, mark_ids, plain_ids, refuse_marks
from stepnav.rewards.local.step_format import StepFormat

PROMPTS_KEPT = 4096


class TrajectoryEncoder(PieceEncoder):
    """Tokenises by a `StepFormat`.

    A text that holds a special token is refused, and so is one that holds the separator where that
    is an added token.

    Args:
      tokenizer: the reward model's.
      format: how prompts and steps are shown.
    """

    def __init__(self, tokenizer: Any, format: StepFormat) -> None:  # noqa: A002
        separator = format.separator_ids(tokenizer)
        marks = mark_ids(tokenizer)
        if len(separator) == 1 and format.separator.strip():
            marks |= {*separator} & {*tokenizer.added_tokens_decoder}

        @lru_cache(PROMPTS_KEPT)
        def prompt(question: str) -> list[int]:
            plain_ids(tokenizer, question, marks, is_question=True)
            return format.encode_prompt(tokenizer, question)

        def later(step: str) -> list[int]:
            ids = format.bare_ids(tokenizer, step)
            refuse_marks(tokenizer, ids, marks)
            return ids + separator

        def first(question: str, step: str) -> tuple[list[int], int]:
            before = prompt(question)
            return before + later(step), len(before)

        super().__init__(first, later)
