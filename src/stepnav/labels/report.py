"""What a label file holds and what was left out of it, in figures that add up.

For every format: rows = sessions + sessions excluded + malformed rows, and ratings = the sum of
`labels`. Sums of one format are in `SUMS`.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stepnav.files.rows import BadRow
from stepnav.labels.exclude import normalise, problem_names
from stepnav.labels.kinds import ZERO_IS_WRONG
from stepnav.labels.math_shepherd import AT_QUESTION_MARK
from stepnav.labels.records import LabelKind, StepRecord
from stepnav.labels.sessions import Session

SHOWN_BAD_ROWS = 5
"""Malformed rows that are named one by one; the rest are counted."""

BINS = 10
"""Values are counted in so many bins of equal width; 1 is in the last."""

SUMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "prm800k": {
        "steps": ("chosen", "human_written", "undecided", "unreachable_steps"),
        "alternatives": ("ratings", "unrated", "flagged_left_out", "unreachable_alternatives"),
    },
    "math-shepherd": {"steps": ("ratings",)},
    "stepwise": {"steps": ("ratings", "masked")},
    "mutation": {"steps": ("ratings", "masked")},
}
"""Per format: a count -> the counts that it is the sum of."""


@dataclass(frozen=True, slots=True)
class Left:
    """What was left out for one reason.

    Attributes:
      sessions: how many.
      ratings: labelled steps in them.
    """

    sessions: int
    ratings: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long things are.

    Attributes:
      min, median, mean, max: over all of them; the median is the lower one of two.
    """

    min: int
    median: int
    mean: float
    max: int


@dataclass(frozen=True, slots=True)
class LabelReport:
    """The figures of one file.

    Attributes:
      file: its name as given.
      format: "prm800k", "math-shepherd", "stepwise" or "mutation".
      kind: what its labels are.
      kind_rule: how that was told.
      rows: lines that are not blank, or rows.
      sessions: rows that are used: solutions that were labelled as one.
      problems: different problems among them.
      solutions: sessions whose steps end in an answer; PRM800K says so, elsewhere all do.
      steps: steps of all sessions, alternatives not counted.
      ratings: labelled steps, alternatives counted.
      records: what a trainer is given.
      labels: ratings per class, or per bin of values.
      lengths: "steps" per session, "step_characters" of each labelled step, "record_characters"
        with the prompt; empty if nothing is left.
      excluded: reason -> what was left out for it.
      exclude_listed: different problems in the file of problems to exclude; None without one.
      exclude_found: how many of those are in this file; None without one.
      malformed: rows that could not be used.
      malformed_rows: the first `SHOWN_BAD_ROWS` of them.
      details: further counts of this format, over the sessions that are used.
    """

    file: str
    format: str
    kind: LabelKind
    kind_rule: str
    rows: int
    sessions: int
    problems: int
    solutions: int
    steps: int
    ratings: int
    records: int
    labels: Mapping[str, int]
    lengths: Mapping[str, Lengths]
    excluded: Mapping[str, Left]
    exclude_listed: int | None
    exclude_found: int | None
    malformed: int
    malformed_rows: tuple[BadRow, ...]
    details: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @property
    def notes(self) -> list[str]:
        """What to tell a user before a training: what was left out or taken for granted."""
        found = []
        if self.exclude_listed is not None:
            found.append(
                f"to exclude: {self.exclude_found:,} of {self.exclude_listed:,} listed problems "
                "found"
            )
        found += [
            f"left out: {left.sessions:,} sessions with {left.ratings:,} labels ({why})"
            for why, left in self.excluded.items()
        ]
        found += [f"malformed: {self.file}, {row}" for row in self.malformed_rows]
        if self.malformed > len(self.malformed_rows):
            found.append(f"malformed: {self.malformed - len(self.malformed_rows):,} further rows")
        if at_mark := self.details.get(AT_QUESTION_MARK):
            found.append(
                f'no "Step 1:" in {at_mark:,} sessions: their problem was taken to end at its '
                "question mark"
            )
        if self.kind_rule == ZERO_IS_WRONG:
            found.append(f"labels: {self.kind_rule}")
        return found

    @property
    def sums(self) -> dict[str, tuple[int, dict[str, int]]]:
        """Counts that are sums, each with its parts; all hold for every file."""
        counts: dict[str, int] = {**self.details, "steps": self.steps, "ratings": self.ratings}
        found = {
            "rows": (
                self.rows,
                {
                    "sessions": self.sessions,
                    **{f"excluded ({why})": left.sessions for why, left in self.excluded.items()},
                    "malformed": self.malformed,
                },
            ),
            "ratings": (self.ratings, dict(self.labels)),
        }
        for whole, parts in SUMS[self.format].items():
            found[whole] = (counts.get(whole, 0), {part: counts.get(part, 0) for part in parts})
        return found


def describe(
    kept: Sequence[Session],
    left: Mapping[str, Sequence[Session]],
    bad: Sequence[BadRow],
    *,
    file: str,
    name: str,
    kind: LabelKind,
    kind_rule: str,
    exclude: Mapping[str, int] | None,
) -> LabelReport:
    """Return the report of a file.

    Args:
      kept: sessions that are used.
      left: reason -> sessions that are not.
      bad: malformed rows.
      file, kind, kind_rule: as in the report.
      name: the format's.
      exclude: name -> number of each problem to exclude; None without such a file.
    """
    records = [record for session in kept for record in session.records]
    found = _found(left.get("problems", ()), exclude or {})
    details = _details(kept, name, kind)
    return LabelReport(
        file=file,
        format=name,
        kind=kind,
        kind_rule=kind_rule,
        rows=len(kept) + sum(map(len, left.values())) + len(bad),
        sessions=len(kept),
        problems=len({normalise(session.problem) for session in kept}),
        solutions=sum(session.is_solution for session in kept),
        steps=sum(session.num_steps for session in kept),
        ratings=sum(session.num_labels for session in kept),
        records=len(records),
        labels=_classes((label for record in records for label in record.labels), kind),
        lengths=_lengths(kept),
        excluded={
            why: Left(len(sessions), sum(session.num_labels for session in sessions))
            for why, sessions in left.items()
        },
        exclude_listed=None if exclude is None else len(set(exclude.values())),
        exclude_found=None if exclude is None else len(found),
        malformed=len(bad),
        malformed_rows=tuple(bad[:SHOWN_BAD_ROWS]),
        details={name: details[name] for name in sorted(details) if details[name]},
    )


def _found(excluded: Iterable[Session], listed: Mapping[str, int]) -> set[int]:
    """Return the numbers of the listed problems that these sessions are of."""
    return {
        listed[name]
        for session in excluded
        for name in problem_names(session.problem, *session.names)
        if name in listed
    }


def _details(kept: Sequence[Session], name: str, kind: LabelKind) -> Counter[str]:
    """Return the further counts of a format."""
    details: Counter[str] = Counter()
    for session in kept:
        details.update(session.counts)
        details["sessions_unlabelled"] += not session.num_labels
    # PRM800K's reader counts contradictions within steps; values are estimates, and differ
    if name != "prm800k" and kind != "value":
        details["contradicted"] = _contradicted(kept)
    return details


def _classes(labels: Iterable[float | None], kind: LabelKind) -> dict[str, int]:
    """Return how often each class, or bin of values, occurs."""
    found = Counter(label for label in labels if label is not None)
    if kind != "value":
        classes = (-1, 0, 1) if kind == "rating" else (-1, 1)
        return {str(label): found[label] for label in classes}
    bins = [0] * BINS
    for label, count in found.items():
        bins[min(int(label * BINS), BINS - 1)] += count
    return {f"{n / BINS:.1f}-{(n + 1) / BINS:.1f}": count for n, count in enumerate(bins)}


def _contradicted(sessions: Iterable[Session]) -> int:
    """Return how many beginnings of solutions have several labels for their last step."""
    by_problem: dict[str, list[StepRecord]] = {}
    for session in sessions:
        by_problem.setdefault(session.problem, []).extend(session.records)
    return sum(_contradictions(records) for records in by_problem.values() if len(records) > 1)


def _contradictions(records: Iterable[StepRecord]) -> int:
    first: dict[int, float] = {}
    found: set[int] = set()
    for record in records:
        prefix = 0
        for step, label in zip(record.completions, record.labels):
            prefix = hash((prefix, step))
            if label is not None and first.setdefault(prefix, label) != label:
                found.add(prefix)
    return len(found)


def _lengths(kept: Sequence[Session]) -> dict[str, Lengths]:
    records = [record for session in kept for record in session.records]
    labelled = [
        len(step)
        for record in records
        for step, label in zip(record.completions, record.labels)
        if label is not None
    ]
    if not labelled:
        return {}
    return {
        "steps": _summary([session.num_steps for session in kept]),
        "step_characters": _summary(labelled),
        "record_characters": _summary(
            [len(record.prompt) + sum(map(len, record.completions)) for record in records]
        ),
    }


def _summary(values: Sequence[int]) -> Lengths:
    return Lengths(
        min(values), statistics.median_low(values), round(statistics.fmean(values), 1), max(values)
    )
