"""Rows in TRL's stepwise form (`prompt`, `completions`, `labels`), and mutation data.

Mutation data are the same with more columns. What the labels are is not told by a row but by the
whole file (`kinds`); here they stay as they stand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepnav.core.errors import DataError, quote
from stepnav.files.rows import FileRow, MalformedRow, every_row, need
from stepnav.labels.kinds import KIND_FIELD, KINDS
from stepnav.labels.records import WHOLE_FIELDS, LabelKind, StepRecord
from stepnav.labels.sessions import Session

_MUTATION_FIELDS = ("task_id", "operator", "verdict", "split")

IS_RIGHT: Mapping[str, bool] = {
    "reference": True,
    "decoy": True,
    "equivalent": True,
    "survived": True,
    "repairable": False,
    "killed": False,
    "timeout": False,
}
"""Verdict of mutation data -> whether the program passed its tests. The labels do not tell it: the
changed step of a repairable program is neutral, and the program is wrong all the same."""


def has_format(fields: Mapping[str, Any]) -> bool:
    """Return whether a row looks like a stepwise one."""
    return all(name in fields for name in ("prompt", "completions", "labels"))


def is_mutation(fields: Mapping[str, Any]) -> bool:
    """Return whether a row looks like one of `stepnav data mutate`."""
    return has_format(fields) and all(name in fields for name in _MUTATION_FIELDS)


def read_session(row: FileRow, *, texts: dict[str, str]) -> Session:
    """Return one solution, its labels as they stand in the file.

    Args:
      row: the row.
      texts: steps of earlier rows; alternatives of one solution repeat its steps, which are kept in
        memory once.

    Raises:
      MalformedRow: a field is missing, of another type or of another length.
    """
    prompt = need(row.fields, "prompt", str)
    steps = need(row.fields, "completions", list)
    labels = need(row.fields, "labels", list)
    wrong_from, weights = row.fields.get("wrong_from"), row.fields.get("weights")
    _check(steps, labels, wrong_from)
    _check_weights(weights, labels)
    is_finished, is_right = (_flag(row.fields, name) for name in WHOLE_FIELDS)
    origin = row.fields.get("origin")
    record = StepRecord(
        prompt,
        tuple(texts.setdefault(step, step) for step in steps),
        tuple(labels),
        None if wrong_from is None else tuple(wrong_from),
        origin if isinstance(origin, str) and origin else row.origin,
        None if weights is None else tuple(weights),
        is_finished,
        is_right,
    )
    counts = {
        "masked": sum(label is None for label in labels),
        "weighted": 0 if weights is None else sum(label is not None for label in labels),
    }
    kind = _kind(row.fields.get(KIND_FIELD))
    return Session(
        row.place, prompt, (record,), len(steps), is_finished is not False, kind=kind, counts=counts
    )


def read_mutation(row: FileRow, *, texts: dict[str, str]) -> Session:
    """Return one program of mutation data.

    Args:
      row, texts: as in `read_session`.

    Raises:
      MalformedRow: a field is missing, of another type or of another length.
    """
    session = read_session(row, texts=texts)
    if missing := [field for field in _MUTATION_FIELDS if field not in row.fields]:
        raise MalformedRow(f"no field {missing[0]!r}, which mutation data have")
    name, operator, verdict, split = (str(row.fields[field]) for field in _MUTATION_FIELDS)
    (record,) = session.records
    origin = record.origin if "origin" in row.fields else f"{row.origin}, {name}, {operator}"
    counts = {**session.counts, f"verdict={verdict}": 1, f"split={split}": 1}
    return replace(
        session,
        records=(replace(record, origin=origin, is_right=IS_RIGHT.get(verdict)),),
        names=(name,),
        split=split,
        counts=counts,
    )


def read_records(path: Path) -> Iterator[StepRecord]:
    """Yield the records that `write_records` wrote, labels as they stand.

    A row that is no record is an error. A labelled step may be blank: a policy's blank line, found
    wrong.

    Raises:
      DataError: a row is no record, or the file is missing or broken.
    """
    for row in every_row(path):
        try:
            (record,) = read_session(row, texts={}).records
        except MalformedRow as error:
            raise DataError(f"{row.place}: {error}") from None
        yield record if "origin" in row.fields else replace(record, origin=None)


def _flag(fields: Mapping[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise MalformedRow(f"{name} must be true, false or null (got {quote(str(value))})")
    return value


def _kind(name: Any) -> LabelKind | None:
    for kind in KINDS:
        if name == kind:
            return kind
    if name is not None:
        raise MalformedRow(
            f"{KIND_FIELD} must be one of {', '.join(KINDS)} (got {quote(str(name))})"
        )
    return None


def _check(steps: list[Any], labels: list[Any], wrong_from: Any) -> None:
    if not steps:
        raise MalformedRow("it has no steps")
    if len(steps) != len(labels):
        raise MalformedRow(f"{len(steps)} completions but {len(labels)} labels")
    for number, step in enumerate(steps, 1):
        if not isinstance(step, str):
            raise MalformedRow(f"step {number} must be text (got {quote(str(step))})")
    for number, label in enumerate(labels, 1):
        if label is not None and not isinstance(label, (bool, int, float)):
            raise MalformedRow(
                f"the label of step {number} must be true, false, a number or null (got "
                f"{quote(str(label))})"
            )
    if wrong_from is None:
        return
    if not isinstance(wrong_from, list) or len(wrong_from) != len(steps):
        raise MalformedRow(f"wrong_from must be a list of {len(steps)} offsets or nulls")
    if not all(offset is None or (type(offset) is int and offset >= 0) for offset in wrong_from):
        raise MalformedRow("wrong_from must hold offsets of at least 0, or null")


def _check_weights(weights: Any, labels: list[Any]) -> None:
    if weights is None:
        return
    if not isinstance(weights, list) or len(weights) != len(labels):
        raise MalformedRow(f"weights must be a list of {len(labels)} numbers or nulls")
    for number, (weight, label) in enumerate(zip(weights, labels), 1):
        is_number = type(weight) in (int, float) and 0 <= weight < math.inf
        if not is_number and (weight is not None or label is not None):
            raise MalformedRow(
                f"the weight of step {number} must be a number of at least 0 (got "
                f"{quote(str(weight))})"
            )
