"""Step-labelled records and the token targets made from them.

A record has TRL's stepwise fields (`prompt`, `completions`, `labels`) with labels -1, 0, 1, or None for a step that no loss
is computed for, and optionally `wrong_from`: per step the offset of the first wrong character, for dense labels; and `weights`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stepnav.files.atomic import write_with
from stepnav.rewards.step_format import StepFormat

if TYPE_CHECKING:  # it needs numpy, and reading records does not
    from stepnav.train.batches import TokenExamples

STEP_END = 16
"""Added to the class of the token at which a step's rating is read."""


LabelKind = Literal["rating", "correct", "value"]
"""What the labels of a data set are: -1, 0 or 1; wrong (-1) or right (1); or a number in [0, 1]."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One labelled solution.

    Attributes:
      prompt: the question.
      completions: the steps' texts.
      labels: per step -1, 0 or 1, or a `float` in [0, 1] if it is a value; None masks the step.
      wrong_from: per step, the offset of the first wrong character in the step as `trimmed` leaves it, if known.
      origin: where it stands, for instance "train.jsonl:12, step 3, alternative 2"; None if unknown.
      weights: per step, how much the loss of its label counts; None for a masked step, and for all if each counts 1.
    """

    prompt: str
    completions: tuple[str, ...]
    labels: tuple[int | float | None, ...]
    wrong_from: tuple[int | None, ...] | None = None
    origin: str | None = None
    weights: tuple[float | None, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        fields: dict[str, Any] = {
            "prompt": self.prompt,
            "completions": list(self.completions),
            "labels": list(self.labels),
        }
        if self.wrong_from is not None:
            fields["wrong_from"] = list(self.wrong_from)
        if self.weights is not None:
            fields["weights"] = list(self.weights)
        if self.origin is not None:
            fields["origin"] = self.origin
        return fields


def write_records(path: Path, records: Iterable[StepRecord]) -> None:
    """Write records as JSON Lines, whole or not at all."""

    def write(place: Path) -> None:
        with place.open("w") as file:
            file.writelines(json.dumps(record.to_json()) + "\n" for record in records)

    write_with(path, write)


def encode_records(
    tokenizer: Any, records: Iterable[StepRecord], step_format: StepFormat, *, dense: bool = True
) -> TokenExamples:
    """Return tokens with class targets.

    The rating's token gets its class plus `STEP_END`. Dense targets: all tokens of a right step have its class; those of a
    wrong step from the first wrong character on have the negative class, those before none.
    """
    from stepnav.train.batches import TokenExamples

    return TokenExamples.from_rows(
        _encode(tokenizer, record, step_format, dense=dense) for record in records
    )


def _encode(
    tokenizer: Any, record: StepRecord, step_format: StepFormat, *, dense: bool
) -> tuple[Sequence[int], Sequence[int]]:
    from stepnav.train.batches import IGNORED

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
        if dense and label != -1:
            body = [output] * (len(tokens) - 1)
        elif dense and wrong_from is not None:
            first = _token_at(tokenizer, step_format.step_text(text), wrong_from)
            body = [output if number >= first else IGNORED for number in range(len(tokens) - 1)]
        targets += [*body, output + STEP_END]
    return ids, targets


def _token_at(tokenizer: Any, text: str, offset: int) -> int:
    """Return the number of the token that holds the character at `offset`."""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return next((number for number, (_, end) in enumerate(spans) if end > offset), len(spans) - 1)
