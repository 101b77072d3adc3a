"""What the labels of a stepwise file are: told once for the whole file, never by rounding.

| labels in the file | kind |
| --- | --- |
| `true`, `false` | correct |
| whole numbers, with -1 and 0 among them | rating |
| whole numbers otherwise: -1 and 1, or 0 and 1 | correct: the lower is wrong; 1 alone is right |
| numbers with a decimal point in [0, 1] | value |
| anything else, or several of these | an error that names the lines |

A row may say it itself (`KIND_FIELD`), as rows of `stepnav data convert` do, so that a part of such
a file is read as the whole. A caller who knows better says so; then every label must be one of that
kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepnav.core.errors import ConfigError, DataError
from stepnav.labels.records import LabelKind

Label = bool | int | float | None

KINDS: tuple[LabelKind, ...] = ("rating", "correct", "value")

KIND_FIELD = "label_kind"
"""Field of a stepwise row that says what its labels are."""

ZERO_IS_WRONG = (
    "there are labels 0 and none is -1: 0 is taken for wrong; if it is neutral, say --labels rating"
)
"""The one rule that may be wrong: a user should see it."""

_DECIMAL = ("decimal", "decimal zero")

_WHOLE: Mapping[int, str] = {-1: "minus", 0: "zero", 1: "one"}

_NEXT = "the labels of a file are of one kind"


@dataclass(slots=True)
class LabelSurvey:
    """Which shapes of labels a file has, and where each was seen first.

    Attributes:
      first: shape -> (place, label).
    """

    first: dict[str, tuple[str, Label]] = field(default_factory=dict)

    def add(self, place: str, labels: Iterable[Label]) -> None:
        """Note the labels of one row."""
        for label in labels:
            if label is not None:
                shape = _shape(label)
                if shape not in self.first:
                    self.first[shape] = (place, label)


def decide_kind(path: Path, survey: LabelSurvey) -> tuple[LabelKind, str]:
    """Return what the labels of a file are, and by which rule.

    Raises:
      DataError: a label is out of range, there are several kinds, or there is no label at all.
    """
    found = survey.first
    if not found:
        raise DataError(f"{path}: not one step has a label")
    outside = found.get("other") or found.get("decimal minus")
    if outside is not None:
        place, label = outside
        hint = "; if these are ratings, say --labels rating" if label == -1 else ""
        raise DataError(
            f"{place}: the label {label!r} is out of range; labels are true or false, -1, 0 or 1, "
            f"or numbers in [0, 1]{hint}"
        )
    if set(found) == {"truth"}:
        return "correct", "all labels are true or false"
    if set(found) <= set(_DECIMAL):
        return "value", "all labels are numbers with a decimal point"
    if set(found) <= set(_WHOLE.values()):
        return _decide_whole(set(found))
    (first, one), (second, other) = _mixed(found)
    raise DataError(
        f"{second}: the label {_json(other)} is of another kind than {_json(one)} ({first}); "
        f"{_NEXT}: say which with --labels rating, correct or value, or mend the file"
    )


def declared_kind(
    path: Path, declared: Iterable[tuple[str, LabelKind | None]], given: LabelKind | None
) -> LabelKind | None:
    """Return the kind that the rows of a file say themselves; None if none does.

    Args:
      path: the file.
      declared: place of each row and what it says.
      given: what the caller says.

    Raises:
      DataError: rows say different things.
      ConfigError: the caller says something else.
    """
    first: dict[LabelKind, str] = {}
    for place, kind in declared:
        if kind is not None:
            first.setdefault(kind, place)
    if len(first) > 1:
        (one, there), (other, here) = list(first.items())[:2]
        raise DataError(f"{here}: {KIND_FIELD} is {other}, but {one} in {there}; {_NEXT}")
    found = next(iter(first), None)
    if found is not None and given not in (None, found):
        raise ConfigError(
            f"{path} says that its labels are of kind {found} (got --labels {given}); leave "
            "--labels out"
        )
    return found


def convert_labels(
    labels: tuple[Label, ...], kind: LabelKind, place: str
) -> tuple[int | float | None, ...]:
    """Return the labels as records hold them.

    Raises:
      DataError: one is none of that kind.
    """
    return tuple(None if label is None else _convert(label, kind, place) for label in labels)


def check_correct(survey: LabelSurvey) -> None:
    """Check that wrong is told in one way only, by 0 or by -1.

    Raises:
      DataError: by both.
    """
    zero = survey.first.get("zero") or survey.first.get("decimal zero")
    minus = survey.first.get("minus") or survey.first.get("decimal minus")
    if zero is not None and minus is not None:
        raise DataError(
            f"{zero[0]}: 0 stands beside -1 ({minus[0]}), so these are ratings; say --labels rating"
        )


def _shape(label: bool | int | float) -> str:
    if isinstance(label, bool):
        return "truth"
    if isinstance(label, int):
        return _WHOLE.get(label, "other")
    if label in (0, -1):
        return "decimal minus" if label else "decimal zero"
    return "decimal" if 0 < label <= 1 else "other"


def _decide_whole(found: set[str]) -> tuple[LabelKind, str]:
    if {"minus", "zero"} <= found:
        return "rating", "the labels are -1, 0 and 1"
    if "minus" in found:
        return "correct", "no label is 0"
    if found == {"one"}:
        return "correct", "all labels are 1"
    return "correct", ZERO_IS_WRONG


def _mixed(found: Mapping[str, tuple[str, Label]]) -> list[tuple[str, Label]]:
    """Return where the first two kinds begin."""
    by_kind: dict[str, tuple[str, Label]] = {}
    for shape, seen in found.items():
        kind = "whole" if shape in _WHOLE.values() else shape.partition(" ")[0]
        by_kind.setdefault(kind, seen)
    return list(by_kind.values())[:2]


def _convert(label: bool | int | float, kind: LabelKind, place: str) -> int | float:
    if kind == "value" and 0 <= label <= 1:
        return float(label)
    if kind == "rating" and not isinstance(label, bool) and label in (-1, 0, 1):
        return -1 if label == -1 else 1 if label == 1 else 0
    if kind == "correct" and label in (-1, 0, 1):
        return 1 if label == 1 else -1
    allowed = {"value": "a number in [0, 1]", "rating": "-1, 0 or 1", "correct": "true or false"}
    raise DataError(
        f"{place}: the label {_json(label)} is not {allowed[kind]}, and this file's labels are "
        f"read as {kind}"
    )


def _json(label: Label) -> str:
    return str(label).lower() if isinstance(label, bool) else repr(label)
