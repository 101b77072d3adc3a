"""Qwen2.5-Math-PRM: two classes read at `<extra_0>` after each step of a chat answer.

Source: the model card of Qwen/Qwen2.5-Math-PRM-7B and Zhang et al. 2025,
https://arxiv.org/abs/2501.07301. Differs from the card in that a step that holds `<extra_0>` or a
turn's mark is refused, where the card's code would count it as a further step, and in that a
probability of 0 keeps its place, where the card's code drops it.
"""

from __future__ import annotations

from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.rewards.local.chat_text import render
from stepnav.rewards.local.family import Family, single_token
from stepnav.rewards.local.piece_encoder import (
    PieceEncoder,
    mark_ids,
    num_shared,
    plain_ids,
    require_end,
)
from stepnav.rewards.local.step_reader import ClassProbs, StepReader

SYSTEM_PROMPT = r"Please reason step by step, and put your final answer within \boxed{}."
SEPARATOR = "<extra_0>"


LOADER = "stepnav.rewards.families.headed_models:Qwen2ProcessReward"


def _reader(model: Any, tokenizer: Any, format: None) -> StepReader:  # noqa: A002
    return StepReader(_encoder(tokenizer), ClassProbs((-1, 1)))


def _encoder(tokenizer: Any) -> PieceEncoder:
    mark = single_token(tokenizer, SEPARATOR, "step separator")
    marks = mark_ids(tokenizer) | {mark}
    _check_template(tokenizer)

    def later(step: str) -> list[int]:
        plain_ids(tokenizer, step, marks)
        ids: list[int] = tokenizer.encode(step + SEPARATOR, add_special_tokens=False)
        require_end(ids, [mark], mark)
        return ids

    def first(question: str, step: str) -> tuple[list[int], int]:
        plain_ids(tokenizer, question, marks, is_question=True)
        plain_ids(tokenizer, step, marks)
        prompt = _prompt(tokenizer, question)
        before: list[int] = tokenizer.encode(prompt, add_special_tokens=False)
        ids: list[int] = tokenizer.encode(prompt + step + SEPARATOR, add_special_tokens=False)
        require_end(ids, [mark], mark)
        return ids, num_shared(before, ids)

    return PieceEncoder(first, later)


def _prompt(tokenizer: Any, question: str) -> str:
    messages = [("system", SYSTEM_PROMPT), ("user", question)]
    return render(tokenizer, messages, add_generation_prompt=True)


def _check_template(tokenizer: Any) -> None:
    """Refuse a template that shows an answer in another way than one that is being written."""
    messages = [("system", SYSTEM_PROMPT), ("user", "1 + 1?"), ("assistant", "2" + SEPARATOR)]
    if not render(tokenizer, messages).startswith(_prompt(tokenizer, "1 + 1?") + "2" + SEPARATOR):
        raise ConfigError(
            "the tokenizer's chat template changes an answer's text or its beginning, so steps "
            "cannot be told apart; use the template that came with the model"
        )


QWEN_PRM = Family("Qwen2.5-Math-PRM", LOADER, _reader, served="tokens")
