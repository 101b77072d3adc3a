"""Skywork-o1-Open-PRM: a value after each line of a solution, read at its newline.

The score of a step is the sigmoid of the value at its last newline. Source: the model card of
Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B and https://github.com/SkyworkAI/skywork-o1-prm-inference,
which takes each line for a step; here a step may have several lines, and the last one's value is
its score.
"""

from __future__ import annotations

from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.rewards.local.family import Family, single_token
from stepnav.rewards.local.piece_encoder import PieceEncoder, mark_ids, plain_ids
from stepnav.rewards.local.step_reader import StepReader, ValueProbs

SEPARATOR = "\n"


LOADER = "stepnav.rewards.families.headed_models:Qwen2ValueReward"


def _reader(model: Any, tokenizer: Any, format: None) -> StepReader:  # noqa: A002
    return StepReader(_encoder(tokenizer), ValueProbs())


def _encoder(tokenizer: Any) -> PieceEncoder:
    if tokenizer.bos_token is None:
        raise ConfigError(
            "a Skywork PRM's text begins with the tokenizer's BOS token, and it has none; "
            "copy the tokenizer that came with the model"
        )
    newline = single_token(tokenizer, SEPARATOR, "step separator")
    marks = mark_ids(tokenizer)

    def later(step: str) -> list[int]:
        ids: list[int] = []
        for line in step.split(SEPARATOR):
            ids += [*plain_ids(tokenizer, line, marks), newline]
        return ids

    def first(question: str, step: str) -> tuple[list[int], int]:
        plain_ids(tokenizer, question, marks, is_question=True)
        text = tokenizer.bos_token + question + SEPARATOR
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return ids + later(step), len(ids)

    return PieceEncoder(first, later)


SKYWORK = Family("Skywork-o1-Open-PRM", LOADER, _reader)
