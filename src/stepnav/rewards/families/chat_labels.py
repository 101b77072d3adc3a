"""RLHFlow's reward models: each step is a user's turn, "+" or "-" is the assistant's.

The score is the probability of "+" against "-" where the assistant's turn begins; earlier turns
always hold "+". Source: the model card of RLHFlow/Llama3.1-8B-PRM-Deepseek-Data and
https://github.com/RLHFlow/RLHF-Reward-Modeling (math-rm). Differs in that a step that holds a
turn's mark is refused, and in that the place of the label is found from the template, not counted
from the end of the text.
"""

from __future__ import annotations

from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.rewards.local.chat_text import render
from stepnav.rewards.local.family import (
    CAUSAL,
    Family,
    read_by_position,
    single_token,
)
from stepnav.rewards.local.piece_encoder import (
    PieceEncoder,
    Unreadable,
    mark_ids,
    num_shared,
    plain_ids,
)
from stepnav.rewards.local.step_reader import PairProbs, StepReader

GOOD, BAD = "+", "-"


def _reader(model: Any, tokenizer: Any, format: None) -> StepReader:  # noqa: A002
    turns = _Turns(tokenizer)
    return StepReader(
        PieceEncoder(turns.first, turns.later),
        PairProbs(turns.good, single_token(tokenizer, BAD, "bad label")),
        after=len(turns.answer),
    )


class _Turns:
    """Tokenises one turn of each side at a time.

    Attributes:
      good: the token of "+".
      answer: tokens from "+" to the end of the assistant's turn.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._marks = mark_ids(tokenizer)
        self.good = single_token(tokenizer, GOOD, "good label")
        self._base = render(tokenizer, _turns("1 + 1?"))
        opened = render(tokenizer, _turns("1 + 1?")[:1], add_generation_prompt=True)
        if not self._base.startswith(opened + GOOD):
            raise ConfigError(
                "the tokenizer's chat template puts something between an answer's beginning and "
                '"+"; use the template that came with the model'
            )
        self.answer = self._ids(self._base[len(opened) :])
        self._check_pieces()

    def first(self, question: str, step: str) -> tuple[list[int], int]:
        """Return the tokens of the first turns, and how many come before the step."""
        plain_ids(self._tokenizer, question, self._marks, is_question=True)
        plain_ids(self._tokenizer, step, self._marks)
        text = render(self._tokenizer, _turns(f"{question} {step}"))
        bare = render(self._tokenizer, _turns(f"{question} "))
        ids = self._ids(text)
        self._require_answer(ids)
        return ids, num_shared(self._ids(bare), ids)

    def later(self, step: str) -> list[int]:
        """Return the tokens of any other turns."""
        plain_ids(self._tokenizer, step, self._marks)
        ids = self._ids(self._piece(step))
        self._require_answer(ids)
        return ids

    def _piece(self, step: str) -> str:
        text = render(self._tokenizer, _turns("1 + 1?", step))
        if not text.startswith(self._base):
            raise ConfigError(
                "the tokenizer's chat template shows earlier turns otherwise when later ones "
                "follow; use the template that came with the model"
            )
        return text[len(self._base) :]

    def _require_answer(self, ids: list[int]) -> None:
        if ids[-len(self.answer) :] != self.answer:
            raise Unreadable(f"is tokenised together with the {GOOD!r} after it")

    def _check_pieces(self) -> None:
        """Refuse a tokenizer that joins tokens across turns or with the label."""
        whole = self._ids(render(self._tokenizer, _turns("1 + 1?", "1 + 1 = 2.")))
        pieces = self._ids(self._base) + self._ids(self._piece("1 + 1 = 2."))
        if self.answer[0] != self.good or whole != pieces:
            raise ConfigError(
                "the tokenizer joins tokens across turns of its chat template, so steps cannot be "
                "scored one by one; use the tokenizer that came with the model"
            )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


def _turns(*steps: str) -> list[tuple[str, str]]:
    return [turn for step in steps for turn in (("user", step), ("assistant", GOOD))]


RLHFLOW = Family(
    "causal language model",
    CAUSAL,
    _reader,
    runner=read_by_position,
    served="labels",
    kind="causal",
)
