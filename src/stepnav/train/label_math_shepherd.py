"""Math-Shepherd lines (Wang et al. 2024, https://arxiv.org/abs/2312.08935).

`input` is the problem and its steps, each followed by the tag; `label` is the same text with `+` or `-` in the tag's place
(https://huggingface.co/datasets/peiyi9979/Math-Shepherd). The two are compared character by character, so that a sign can
never be given to another step. The problem ends where "Step 1:" begins, which stays part of the first step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stepnav.core.errors import quote
from stepnav.train.label_rows import MalformedRow, Row, need
from stepnav.train.label_sessions import Session
from stepnav.train.records import StepRecord

TAG = "ки"
"""Stands after each step of `input`."""

SIGNS = {"+": 1, "-": -1}

_FIRST_STEP = re.compile(r"\bstep\s*1\s*:", re.IGNORECASE)


def has_format(fields: Mapping[str, Any]) -> bool:
    """Return whether a row looks like one of Math-Shepherd's."""
    return isinstance(fields.get("input"), str) and isinstance(fields.get("label"), str)


def read_session(row: Row) -> Session:
    """Return one solution.

    Raises:
      MalformedRow: input and label do not fit each other, or no first step is found.
    """
    text, label = need(row.fields, "input", str), need(row.fields, "label", str)
    parts = text.split(TAG)
    if len(parts) == 1:
        raise MalformedRow(f"no step tag {TAG!r} in its input")
    if parts[-1].strip():
        raise MalformedRow(f"text behind the last step tag: {quote(parts[-1].strip())}")
    signs = _signs(parts, label)
    problem, steps, signs, quirk = _cut(parts[:-1], signs)
    record = StepRecord(problem, tuple(steps), tuple(signs), origin=row.origin)
    task = row.fields.get("task")
    counts = {f"task={task}": 1} if isinstance(task, str) else {}
    return Session(row.place, problem, (record,), len(steps), counts={**counts, **quirk})


def _signs(parts: list[str], label: str) -> list[int]:
    """Return the sign in the place of each tag."""
    signs: list[int] = []
    position = 0
    for number, part in enumerate(parts[:-1], 1):
        end = position + len(part)
        if label[position:end] != part:
            raise MalformedRow(f"input and label differ in the text before tag {number}")
        sign = label[end : end + 1]
        if sign not in SIGNS:
            raise MalformedRow(f"the label has {sign!r} instead of + or - at tag {number}")
        signs.append(SIGNS[sign])
        position = end + 1
    if label[position:].strip():
        raise MalformedRow(f"text behind the label's last sign: {quote(label[position:].strip())}")
    return signs


def _cut(parts: list[str], signs: list[int]) -> tuple[str, list[str], list[int], dict[str, int]]:
    """Return the problem, its steps, their signs, and how an irregular row was read.

    A few rows have a tag inside the problem: it belongs to no step and is dropped.
    """
    first = _FIRST_STEP.search(parts[0])
    quirk: dict[str, int] = {}
    if first is None and len(parts) > 1 and (inner := _FIRST_STEP.search(parts[1])):
        quirk = {"tags_in_problem": 1}
        shift = len(parts[0])
        parts, signs = [parts[0] + parts[1], *parts[2:]], signs[1:]
        start = shift + inner.start()
    elif first is not None:
        start = first.start()
    elif parts[0].count("?") == 1:
        quirk = {"split_at_question_mark": 1}
        start = parts[0].index("?") + 1
    else:
        raise MalformedRow('no "Step 1:" tells where its problem ends')
    problem, steps = parts[0][:start].strip(), [parts[0][start:], *parts[1:]]
    if not problem:
        raise MalformedRow("no problem before its first step")
    return problem, [step.strip() for step in steps], signs, quirk
