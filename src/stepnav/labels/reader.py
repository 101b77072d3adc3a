"""Step-labelled data of any format as records, with an account of all that was read and left out.

    raw PRM800K      label_prm800k        every rated alternative is a record of its own
    Math-Shepherd    label_math_shepherd  + and - in the place of the step tag
    TRL's stepwise   label_stepwise       prompt, completions, labels; from `data convert` too
    mutation data    label_stepwise       the same, with more columns

The format is told by the fields of the rows, the container (JSON lines, a JSON list or Parquet,
gzipped or not) by the file's first bytes. A row that is not of the format is counted and named, and
the rest is used; labels that are out of range or of several kinds are an error, because then
nothing in the file can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError, choose, quote
from stepnav.files.rows import BadRow, FileRow, MalformedRow, read_rows
from stepnav.labels import math_shepherd as label_math_shepherd
from stepnav.labels import prm800k as label_prm800k
from stepnav.labels import stepwise as label_stepwise
from stepnav.labels.exclude import problem_names, read_problems
from stepnav.labels.kinds import (
    KINDS,
    LabelSurvey,
    check_correct,
    convert_labels,
    decide_kind,
    declared_kind,
)
from stepnav.labels.records import LabelKind, StepRecord
from stepnav.labels.report import LabelReport, describe
from stepnav.labels.sessions import Session, check_texts

DETECTORS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "prm800k": label_prm800k.has_format,
    "math-shepherd": label_math_shepherd.has_format,
    "mutation": label_stepwise.is_mutation,
    "stepwise": label_stepwise.has_format,
}
"""Format -> whether a row looks like it; the first that does is taken."""

FIXED_KINDS: Mapping[str, LabelKind] = {
    "prm800k": "rating",
    "math-shepherd": "correct",
    "mutation": "rating",
}
"""What the labels of a format always are."""

TRAIN = "train"
"""Split of mutation data that is learnt from, where a file holds several."""

JOURNAL_FIELDS = {"num_problems", "shard", "held_out"}
"""Fields of the first line of a mutation campaign's journal."""

LEAVE_OUT = (*label_prm800k.MARKS, label_prm800k.FLAGGED)
"""What of a PRM800K file may be left out."""


@dataclass(frozen=True, slots=True)
class LabelledData:
    """A data set that was read.

    Attributes:
      records: labelled solutions, in the order of the file.
      kind: what their labels are.
      format: of the file.
      report: what was read and what was left out.
    """

    records: list[StepRecord]
    kind: LabelKind
    format: str
    report: LabelReport


def read_labelled(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002
    kind: LabelKind | None = None,
    exclude: Path | None = None,
    leave_out: Collection[str] = (),
) -> LabelledData:
    """Return the labelled steps of a file, for training.

    Args:
      path: the file.
      format: one of `DETECTORS`; None tells it by the rows.
      kind: what the labels are; None tells it by the labels (`label_kinds`).
      exclude: file with problems that are left out (`label_exclude`).
      leave_out: of a PRM800K file, some of `LEAVE_OUT`; by default nothing is.

    Raises:
      DataError: a file is missing, broken, or holds nothing to learn from; a label is out of range.
      ConfigError: an unknown format, kind or part, or one that does not fit the file.
    """
    data = inspect_labelled(path, format=format, kind=kind, exclude=exclude, leave_out=leave_out)
    if not data.report.ratings:
        left = [f"{n.sessions} left out ({why})" for why, n in data.report.excluded.items()]
        raise DataError(
            f"nothing to learn from in {path}: {data.report.sessions} sessions without a label"
            + "".join(f", {text}" for text in left)
        )
    return data


def inspect_labelled(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002
    kind: LabelKind | None = None,
    exclude: Path | None = None,
    leave_out: Collection[str] = (),
) -> LabelledData:
    """Return the same as `read_labelled`, also if nothing is left to learn from."""
    path = Path(path)
    _check_options(format, kind, leave_out)
    problems = None if exclude is None else read_problems(Path(exclude))
    rows: Iterator[FileRow | BadRow] = read_rows(path)
    name = format
    if name is None:
        name, rows = detect_format(path, rows)
    _check_fits(path, name, kind, leave_out)
    parsed = list(_parse(rows, name, frozenset(leave_out)))
    sessions = [item for item in parsed if isinstance(item, Session)]
    bad = [item for item in parsed if isinstance(item, BadRow)]
    if not sessions:
        raise DataError(
            f"{path}: none of its {len(bad)} rows can be used as {name}; the first is {bad[0]}"
        )
    sessions, found, rule = _settle_kind(path, sessions, name, kind)
    kept, left = _leave_out(sessions, problems, leave_out)
    report = describe(
        kept, left, bad,
        file=str(path), name=name, kind=found, kind_rule=rule, exclude=problems,
    )  # fmt: skip
    records = [record for session in kept for record in session.records]
    return LabelledData(records, found, name, report)


def detect_format(
    path: Path, rows: Iterator[FileRow | BadRow]
) -> tuple[str, Iterator[FileRow | BadRow]]:
    """Return the format that the first recognisable row has, and all rows again.

    Raises:
      DataError: no row is recognised.
    """
    seen: list[FileRow | BadRow] = []
    for row in rows:
        seen.append(row)
        if isinstance(row, FileRow):
            for name, has_format in DETECTORS.items():
                if has_format(row.fields):
                    return name, chain(seen, rows)
    usable = [row for row in seen if isinstance(row, FileRow)]
    if usable and usable[0].fields.keys() >= JOURNAL_FIELDS:
        raise DataError(
            f"{path} is a journal of `stepnav data mutate`, not yet a data set; make one with: "
            f"stepnav data merge {path} --out FOLDER"
        )
    if not usable:
        first = next(row for row in seen if isinstance(row, BadRow))
        raise DataError(f"{path}: none of its {len(seen)} rows can be read; the first is {first}")
    raise DataError(
        f"{path}: not step-labelled data; its rows have the fields "
        f"{quote(', '.join(map(str, usable[0].fields)))}, and stepnav reads prompt, completions, "
        "labels (TRL), input, label (Math-Shepherd) and question, label (PRM800K)"
    )


def _check_options(name: str | None, kind: str | None, leave_out: Collection[str]) -> None:
    for option, values, allowed in (
        ("--format", [name], tuple(DETECTORS)),
        ("--labels", [kind], KINDS),
        ("--leave-out", leave_out, LEAVE_OUT),
    ):
        for value in values:
            if value is not None:
                choose(option, value, allowed)


def _check_fits(path: Path, name: str, kind: LabelKind | None, leave_out: Collection[str]) -> None:
    fixed = FIXED_KINDS.get(name)
    if kind is not None and fixed is not None and kind != fixed:
        raise ConfigError(
            f"{path} is {name}, whose labels are read as {fixed} (got --labels {kind}); leave "
            "--labels out"
        )
    if leave_out and name != "prm800k":
        raise ConfigError(
            f"{path} is {name}; only PRM800K files say what --leave-out {','.join(leave_out)} means"
        )


def _parse(
    rows: Iterable[FileRow | BadRow], name: str, leave_out: frozenset[str]
) -> Iterator[Session | BadRow]:
    texts: dict[str, str] = {}
    readers: Mapping[str, Callable[[FileRow], Session]] = {
        "prm800k": partial(label_prm800k.read_session, leave_out=leave_out),
        "math-shepherd": label_math_shepherd.read_session,
        "mutation": partial(label_stepwise.read_mutation, texts=texts),
        "stepwise": partial(label_stepwise.read_session, texts=texts),
    }
    read = readers[name]
    for row in rows:
        yield row if isinstance(row, BadRow) else _parse_row(row, read)


def _parse_row(row: FileRow, read: Callable[[FileRow], Session]) -> Session | BadRow:
    try:
        session = read(row)
        check_texts(session)
    except MalformedRow as error:
        return BadRow(row.number, str(error), row.unit)
    return session


def _settle_kind(
    path: Path, sessions: list[Session], name: str, kind: LabelKind | None
) -> tuple[list[Session], LabelKind, str]:
    """Return the sessions with their labels as records hold them, what those are, and why."""
    if name in ("prm800k", "math-shepherd"):
        return sessions, FIXED_KINDS[name], "the format says so"
    declared = declared_kind(path, ((item.place, item.kind) for item in sessions), kind)
    survey = LabelSurvey()
    for session in sessions:
        survey.add(session.place, session.records[0].labels)
    found, rule = _choose_kind(path, survey, FIXED_KINDS.get(name), declared, kind)
    if found == "correct":
        check_correct(survey)
    return [_converted(session, found) for session in sessions], found, rule


def _choose_kind(
    path: Path,
    survey: LabelSurvey,
    fixed: LabelKind | None,
    declared: LabelKind | None,
    given: LabelKind | None,
) -> tuple[LabelKind, str]:
    if fixed is not None:
        return fixed, "the format says so"
    if declared is not None:
        return declared, "the file says so"
    return decide_kind(path, survey) if given is None else (given, "given")


def _converted(session: Session, kind: LabelKind) -> Session:
    (record,) = session.records
    labels = convert_labels(record.labels, kind, session.place)
    return replace(session, records=(replace(record, labels=labels),))


def _leave_out(
    sessions: Sequence[Session], problems: Mapping[str, int] | None, leave_out: Collection[str]
) -> tuple[list[Session], dict[str, list[Session]]]:
    """Return the sessions that are used, and the others by the first reason that holds.

    Of a file that holds several splits, those of "train" are used.
    """
    splits = {session.split for session in sessions} - {None}
    split = TRAIN if TRAIN in splits and len(splits) > 1 else None
    kept: list[Session] = []
    left: dict[str, list[Session]] = {}
    for session in sessions:
        why = _reason(session, problems, split, leave_out)
        (kept if why is None else left.setdefault(why, [])).append(session)
    return kept, left


def _reason(
    session: Session,
    problems: Mapping[str, int] | None,
    split: str | None,
    leave_out: Collection[str],
) -> str | None:
    if problems is not None and any(
        name in problems for name in problem_names(session.problem, *session.names)
    ):
        return "problems"
    if split is not None and session.split != split:
        return f"split={session.split}"
    for mark in label_prm800k.MARKS:
        if mark in leave_out and mark in session.marks:
            return mark
    return None
