"""Step-labelled records as tokens with the classes that a reward model is to give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from stepnav.labels.records import StepRecord
from stepnav.rewards.local.step_format import StepFormat
from stepnav.zoo.training.batches import IGNORED, TokenExamples

STEP_END = 16
"""Added to the class of the token at which a step's rating is read."""


def encode_records(
    tokenizer: Any, records: Iterable[StepRecord], step_format: StepFormat
) -> TokenExamples:
    """Return tokens with class targets.

    The rating's token gets its class plus `STEP_END`. Besides, all tokens of a right step
    have its class; those of a wrong step from the first wrong character on have the negative class,
    those before none.
    """
    return TokenExamples.from_rows(_encode(tokenizer, record, step_format) for record in records)


def _encode(
    tokenizer: Any, record: StepRecord, step_format: StepFormat
) -> tuple[Sequence[int], Sequence[int]]:
    ids = step_format.encode_prompt(tokenizer, record.prompt)
    targets = [IGNORED] * len(ids)
    offsets = record.wrong_from or (None,) * len(record.completions)
    for text, label, wrong_from in zip(record.completions, record.labels, offsets, strict=True):
        tokens = step_format.encode_step(tokenizer, text)
        ids += tokens
        if label is None:
            targets += [IGNORED] * len(tokens)
            continue
        output = step_format.labels.index(int(label))
        body = [IGNORED] * (len(tokens) - 1)
        if label != -1:
            body = [output] * (len(tokens) - 1)
        elif wrong_from is not None:
            first = _token_at(tokenizer, step_format.step_text(text), wrong_from)
            body = [output if number >= first else IGNORED for number in range(len(tokens) - 1)]
        targets += [*body, output + STEP_END]
    return ids, targets


def _token_at(tokenizer: Any, text: str, offset: int) -> int:
    """Return the number of the token that holds the character at `offset`."""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return next((number for number, (_, end) in enumerate(spans) if end > offset), len(spans) - 1)
