"""Step-labelled records.

A record has TRL's stepwise fields (`prompt`, `completions`, `labels`) with labels -1, 0, 1, or None
for a step that no loss is computed for, and optionally `wrong_from`: per step the offset of the
first wrong character, for dense labels; `weights`; and what is known of the whole solution.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stepnav.files.atomic import write_with

LabelKind = Literal["rating", "correct", "value"]
"""What the labels of a data set are: -1, 0 or 1; wrong (-1) or right (1); or a number in [0, 1]."""


WHOLE_FIELDS = ("is_finished", "is_right")
"""Fields of a record that say something of the whole solution: true, false, or null."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One labelled solution.

    Attributes:
      prompt: the question.
      completions: the steps' texts.
      labels: per step -1, 0 or 1, or a `float` in [0, 1] if it is a value; None masks the step.
      wrong_from: per step, the offset of the first wrong character in the step as `trimmed` leaves
        it, if known.
      origin: where it stands, for instance "train.jsonl:12, step 3, alternative 2"; None if
        unknown.
      weights: per step, how much the loss of its label counts; None for a masked step, and for all
        if each counts 1.
      is_finished: whether the steps end in an answer; None if that is not told.
      is_right: whether the whole solution is right, where that is known otherwise than by its
        lowest label, as of a program that was run; else None.
    """

    prompt: str
    completions: tuple[str, ...]
    labels: tuple[int | float | None, ...]
    wrong_from: tuple[int | None, ...] | None = None
    origin: str | None = None
    weights: tuple[float | None, ...] | None = None
    is_finished: bool | None = None
    is_right: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        fields: dict[str, Any] = {
            "prompt": self.prompt,
            "completions": list(self.completions),
            "labels": list(self.labels),
        }
        for name in ("wrong_from", "weights", "origin", *WHOLE_FIELDS):
            if (value := getattr(self, name)) is not None:
                fields[name] = list(value) if isinstance(value, tuple) else value
        return fields


def write_records(path: Path, records: Iterable[StepRecord]) -> None:
    """Write records as JSON Lines, whole or not at all."""

    def write(place: Path) -> None:
        with place.open("w") as file:
            file.writelines(json.dumps(record.to_json()) + "\n" for record in records)

    write_with(path, write)
