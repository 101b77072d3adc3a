"""Math-Shepherd lines (Wang et al. 2024, https://arxiv.org/abs/2312.08935).

`input` is the problem and its steps, each followed by the tag; `label` is the same text with `+` or
`-` in the tag's place (https://huggingface.co/datasets/peiyi9979/Math-Shepherd). The two are
compared character by character, so that a sign can never be given to another step. The problem ends
where "Step 1:" begins, which stays part of the first step; in a row that has none, behind the only
question mark before the first tag.

Each sign stands by itself, so that a step may be wrong before one that is right. The last one is
that of the answer, and so of the whole solution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stepnav.core.errors import quote
from stepnav.files.rows import FileRow, MalformedRow, need
from stepnav.labels.records import StepRecord
from stepnav.labels.sessions import Session

TAG = "ки"
"""Stands after each step of `input`."""

SIGNS = {"+": 1, "-": -1}

AT_QUESTION_MARK = "split_at_question_mark"
"""Count of rows without "Step 1:" whose problem was taken to end at its only question mark."""

ANSWER_MARK = "The answer is"
"""Stands before the answer in the last step."""

_FIRST_STEP = re.compile(r"\bstep\s*1\s*:", re.IGNORECASE)


def has_format(fields: Mapping[str, Any]) -> bool:
    """Return whether a row looks like one of Math-Shepherd's."""
    return isinstance(fields.get("input"), str) and isinstance(fields.get("label"), str)


def read_session(row: FileRow) -> Session:
    """Return one solution.

    Raises:
      MalformedRow: input and label do not fit each other, or no first step is found.
    """
    text, label = need(row.fields, "input", str), need(row.fields, "label", str)
    parts = _parts(text)
    signs = _signs(parts, label)
    problem, steps, signs, quirk = _cut(parts[:-1], signs)
    record = StepRecord(
        problem,
        tuple(steps),
        tuple(signs),
        origin=row.origin,
        is_finished=True if ANSWER_MARK in steps[-1] else None,
        is_right=signs[-1] > 0,
    )
    task = row.fields.get("task")
    counts = {f"task={task}": 1} if isinstance(task, str) else {}
    return Session(row.place, problem, (record,), len(steps), counts={**counts, **quirk})


def find_problem(text: str) -> str:
    """Return the problem in an `input`.

    Raises:
      MalformedRow: it cannot be told from the first step.
    """
    parts = _parts(text)[:-1]
    return _cut(parts, [0] * len(parts))[0]


def _parts(text: str) -> list[str]:
    """Return what stands between the tags; the last part is what stands behind them, blank."""
    parts = text.split(TAG)
    if len(parts) == 1:
        raise MalformedRow(f"no step tag {TAG!r} in its input")
    if parts[-1].strip():
        raise MalformedRow(f"text behind the last step tag: {quote(parts[-1].strip())}")
    return parts


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

    A few rows have tags inside the problem: they belong to no step and are dropped.
    """
    found = ((n, _FIRST_STEP.findall(part)) for n, part in enumerate(parts))
    number, marks = next(((n, marks) for n, marks in found if marks), (0, []))
    if len(marks) > 1:
        raise MalformedRow(
            f'{len(marks)} times "Step 1:" before a tag: where its problem ends is open'
        )
    first, quirk = parts[number], {"tags_in_problem": number} if number else {}
    if mark := _FIRST_STEP.search(first):
        start = mark.start()
    elif first.count("?") == 1:
        quirk = {AT_QUESTION_MARK: 1}
        start = first.index("?") + 1
    else:
        raise MalformedRow('no "Step 1:" tells where its problem ends')
    problem = "".join([*parts[:number], first[:start]]).strip()
    steps = [first[start:], *parts[number + 1 :]]
    return problem, [step.strip() for step in steps], signs[number:], quirk
