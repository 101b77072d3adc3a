"""What a reward model is evaluated on: solutions whose truth is known, of one of four kinds.

- processbench: `problem`, `steps`, `label` (the first wrong step, -1 for none), as in ProcessBench
  (Zheng et al. 2024, arXiv 2412.06559).
- prmbench: rows of PRMBench, see `prmbench_rows`.
- prm800k: step labels, in any format that `labels/reader.py` reads (PRM800K, TRL stepwise, ...).
- best-of-n: `problem_id`, `is_correct`, and `steps` or `text`; optional `problem` (to score),
  `answer` (to vote) and `scores` (one number in [0, 1] per step).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError, choose, quote
from stepnav.files.rows import FileRow, every_row, read_rows
from stepnav.labels.reader import detect_format, read_labelled
from stepnav.labels.records import LabelKind, StepRecord
from stepnav.measure.prm.case import KINDS, Case, Cases, FileKind, GradedAnswer
from stepnav.measure.prm.prmbench_rows import FIELDS, prmbench_case, without_repeats

ADDED = ("category", "is_unanswered")
"""Fields of a case that earlier digests did not have: they count only where they say a thing."""


def read_cases(
    path: Path,
    *,
    kind: str | None = None,
    labels: LabelKind | None = None,
    limit: int | None = None,
) -> Cases:
    """Return the solutions of a file.

    Args:
      path: JSON lines, a JSON list or Parquet, gzipped or not.
      kind: one of `KINDS`; None recognises it from the first row.
      labels: what step labels are; None tells it by them.
      limit: only the first so many problems, with all their solutions; None takes all.
    Raises:
      ConfigError: there is no such kind.
      DataError: the file is missing, empty, broken, or not of that kind.
    """
    chosen = choose("--kind", kind, KINDS) if kind is not None else recognise(path)
    if labels is not None and chosen != "prm800k":
        raise ConfigError(f"--labels is for step labels; {path} is {chosen}")
    label_kind: LabelKind | None = None
    left_out: tuple[str, ...] = ()
    if chosen == "prm800k":
        label_kind, items, left_out = _read_labelled(path, labels)
    else:
        make = _MAKERS[chosen]
        items = [_made(make, number, row) for number, row in enumerate(every_row(path), 1)]
        if chosen == "prmbench":
            items, left_out = without_repeats(items)
    if not items:
        raise DataError(f"{path} holds no {'labelled step' if label_kind else 'solution'}")
    if all(case.graded is not None and case.graded.is_correct is None for case in items):
        raise DataError(f"{path}: no solution is graded (is_correct is null in all of them)")
    kept = _first_groups(items, limit)
    return Cases(chosen, tuple(kept), label_kind, _digest(kept), left_out)


def recognise(path: Path) -> FileKind:
    """Return the kind of a file: by the fields of its first row, or by those of step labels.

    Raises:
      DataError: the fields fit none of them.
    """
    fields: Mapping[str, Any] = next(  # unnamed, so that what was read is not held
        (row.fields for row in read_rows(path) if isinstance(row, FileRow)), {}
    )
    if "is_correct" in fields:
        return "best-of-n"
    if {"problem", "steps", "label"} <= set(fields):
        return "processbench"
    if set(FIELDS) <= set(fields):
        return "prmbench"
    try:
        detect_format(path, read_rows(path))
        return "prm800k"
    except DataError:
        if not fields:  # no row can be used; it says why
            raise
    raise DataError(
        f"{path}: its fields ({', '.join(map(str, fields)) or 'none'}) are none of processbench "
        "(problem, steps, label), prmbench (modified_process, error_steps), prm800k "
        "(question and label, input and label, or prompt, completions and labels), "
        "best-of-n (problem_id, is_correct); name the kind with --kind if it is one of them"
    )


def _made(make: Callable[[int, Mapping[str, Any]], Case], number: int, row: FileRow) -> Case:
    try:
        return make(number, row.fields)
    except KeyError as error:
        raise DataError(
            f"{row.place}: no field {error}; its fields are {', '.join(map(str, row.fields))}"
        ) from None
    except (TypeError, ValueError) as error:
        raise DataError(f"{row.place}: {error}") from None


def _first_error_case(number: int, row: Mapping[str, Any]) -> Case:
    steps = _texts(row["steps"])
    label = row["label"]
    if isinstance(label, bool) or not isinstance(label, int) or not -1 <= label < len(steps):
        raise ValueError(
            f"label must be -1 or the number of a step, 0 to {len(steps) - 1} (got {label!r})"
        )
    question = _text("problem", row["problem"])
    return Case(
        id=str(row.get("id", f"row {number}")),
        group=question,
        question=question,
        steps=steps,
        is_whole=True,
        first_error=None if label == -1 else label,
    )


def _read_labelled(
    path: Path, labels: LabelKind | None
) -> tuple[LabelKind, list[Case], tuple[str, ...]]:
    """Return what the labels are, the solutions that have any, and what was left out."""
    found = read_labelled(path, kind=labels)
    cases = [_labelled_case(n, record, path) for n, record in enumerate(found.records, 1)]
    cases = [case for case in cases if any(label is not None for label in case.labels or ())]
    bad = found.report.malformed_rows
    lines = [f"{n.sessions} rows ({why})" for why, n in found.report.excluded.items()]
    lines += [f"row {row.number}: {row.reason}" for row in bad]
    if found.report.malformed > len(bad):
        lines.append(f"{found.report.malformed - len(bad)} more rows like these")
    return found.kind, cases, tuple(lines)


def _labelled_case(number: int, record: StepRecord, path: Path) -> Case:
    if not record.completions:
        raise DataError(f"{record.origin or f'{path}, record {number}'}: it has no steps")
    return Case(
        id=record.origin or f"record {number}",
        group=record.prompt,
        question=record.prompt,
        steps=record.completions,
        is_whole=record.is_finished is True,
        labels=record.labels,
    )


def _outcome_case(number: int, row: Mapping[str, Any]) -> Case:
    problem = row.get("problem")
    group = row["problem_id"] if "problem_id" in row else _text("problem", row["problem"])
    if isinstance(group, bool) or not isinstance(group, (str, int)):
        raise ValueError(f"problem_id must be text or a whole number (got {group!r})")
    is_correct = row["is_correct"]
    if is_correct is not None and not isinstance(is_correct, bool):
        raise ValueError(f"is_correct must be true, false or null (got {is_correct!r})")
    answer = row.get("answer")
    if answer is not None and (
        isinstance(answer, bool) or not isinstance(answer, (str, int, float))
    ):
        raise ValueError(f"answer must be text or a number (got {quote(repr(answer))})")
    scores = _scores(row.get("scores"))
    steps = _solution_steps(row, scores)
    return Case(
        id=str(row.get("id", f"row {number}")),
        group=str(group),
        question="" if problem is None else _text("problem", problem),
        steps=steps,
        is_whole=True,
        is_unanswered="answer" in row and answer is None,
        graded=GradedAnswer(is_correct, None if answer is None else str(answer), scores),
    )


_MAKERS = {
    "processbench": _first_error_case, "prmbench": prmbench_case, "best-of-n": _outcome_case,
}  # fmt: skip


def _solution_steps(row: Mapping[str, Any], scores: tuple[float, ...] | None) -> tuple[str, ...]:
    """Return the steps; a text's steps are its lines, blank ones left out."""
    if "steps" in row:
        steps = _texts(row["steps"])
    elif "text" in row:
        lines = re.split(r"\r?\n", _text("text", row["text"]))
        steps = tuple(line for line in lines if line.strip())
    elif scores is not None:
        return ("",) * len(scores)
    else:
        raise ValueError("a solution needs steps, text or scores")
    if scores is not None and len(scores) != len(steps):
        raise ValueError(f"{len(steps)} steps but {len(scores)} scores")
    return steps


def _scores(value: Any) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise ValueError(f"scores must be a list of numbers (got {quote(repr(value))})")
    for score in value:
        is_number = isinstance(score, (int, float)) and not isinstance(score, bool)
        if not is_number or not 0 <= score <= 1:
            raise ValueError(f"a score must be a number in [0, 1] (got {score!r})")
    return tuple(float(score) for score in value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ValueError(f"steps must be a list of at least one text (got {quote(repr(value))})")
    return tuple(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be text (got {quote(repr(value))})")
    return value


def _first_groups(items: Sequence[Case], limit: int | None) -> list[Case]:
    groups = list(dict.fromkeys(case.group for case in items))
    kept = set(groups if limit is None else groups[:limit])
    return [case for case in items if case.group in kept]


def _digest(items: Sequence[Case]) -> str:
    rows = (asdict(case) for case in items)
    kept = ({name: row[name] for name in row if name not in ADDED or row[name]} for row in rows)
    text = "\n".join(map(json.dumps, kept))
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
