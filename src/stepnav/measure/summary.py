"""From rows of searches to one row per strategy and budget."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepnav.core.errors import DataError
from stepnav.measure.plan import read_baseline
from stepnav.measure.rows import COUNTED, SPENT, ResultRow
from stepnav.measure.stats.intervals import Accuracy, Grades, PassAtK, accuracy, mean_pass_at_k
from stepnav.measure.stats.paired import Comparison, compare, holm

Group = tuple[str, int | None]
"""A label and a budget."""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """All searches of one strategy at one budget.

    Attributes:
      strategy, label, options, budget: which searches.
      accuracy: how often they were right.
      baseline: the group that they are compared with; None for the baseline itself and where
        there is none.
      comparison: the paired comparison with it.
      p_holm: the comparison's p-value corrected for all comparisons of the table.
      pass_at_k: for k from 1 to the number of repeats; empty with a single repeat.
      means: mean per search of each cost and counter; None where one was not known.
      stop_reasons: stop reason -> number of searches, most frequent first.
      totals: sums over the searches ("backtracks", "duplicates", "iterations", "fallbacks",
        "failed"); None where the strategy has no such counter.
      wall_s: wall-clock seconds in which all these searches ran; None if unknown.
      searches: how many searches.
      problems: how many problems they are about.
      oracle: whether a reward model read the reference answers: an upper bound.
      right: how far P(right) is from how often it came true (`measure/right.py`); None of a
        strategy that does not estimate it.
      coverage: how often one of the solutions was right, chosen or not (`measure/coverage.py`);
        None where that was not looked at.
    """

    strategy: str
    label: str
    options: Mapping[str, Any]
    budget: int | None
    accuracy: Accuracy
    baseline: Group | None
    comparison: Comparison | None
    p_holm: float | None
    pass_at_k: tuple[PassAtK, ...]
    means: Mapping[str, float | None]
    stop_reasons: Mapping[str, int]
    totals: Mapping[str, int | None]
    wall_s: float | None
    searches: int
    problems: int
    oracle: bool
    right: Mapping[str, Any] | None = None
    coverage: Accuracy | None = None
    chosen: float | None = None

    @property
    def group(self) -> Group:
        """The row's label and budget."""
        return self.label, self.budget


COSTS = (*SPENT, "requests", "flops")
COUNTERS = (*COUNTED, "failed")


def summarise(
    rows: Sequence[ResultRow],
    *,
    baseline: str | None,
    wall_s: Mapping[Group, float] | None = None,
) -> list[SummaryRow]:
    """Return one row per strategy and budget, in the order in which they first come.

    Each is compared with the baseline at the same budget; where the baseline was not run at that
    budget, with the baseline without a budget. A baseline at one budget ("LABEL@BUDGET") is what
    all others are compared with, itself at other budgets too.

    Args:
      rows: finished searches; may be a part of the plan's.
      baseline: as of `BenchPlan`, None to compare nothing.
      wall_s: (label, budget) -> wall-clock seconds, where known.
    Raises:
      DataError: two rows are the same search.
    """
    groups: dict[Group, list[ResultRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    repeats = max((row.repeat + 1 for row in rows), default=0)
    grades = {group: group_grades(members, repeats) for group, members in groups.items()}
    summary = [
        _summarise_group(members, grades, baseline, (wall_s or {}).get(group), repeats)
        for group, members in groups.items()
    ]
    corrected = holm({row.group: row.comparison.p for row in summary if row.comparison})
    return [replace(row, p_holm=corrected.get(row.group)) for row in summary]


def group_grades(rows: Iterable[ResultRow], repeats: int, field: str = "correct") -> Grades:
    """Return problem id -> one grade per repeat, None where a search is missing.

    Args:
      rows: of one group.
      repeats: how many there are of each problem.
      field: what of a row is its grade.
    Raises:
      DataError: two rows are the same problem and repeat.
    """
    grades: dict[str, list[bool | None]] = {}
    seen: set[tuple[str, int]] = set()
    for row in rows:
        place = (row.problem_id, row.repeat)
        if place in seen:
            raise DataError(
                f"two results of {row.label} for problem {row.problem_id}, repeat {row.repeat}; "
                "report each search once"
            )
        seen.add(place)
        grades.setdefault(row.problem_id, [None] * repeats)[row.repeat] = getattr(row, field)
    return grades


def _summarise_group(
    rows: Sequence[ResultRow],
    grades: Mapping[Group, Grades],
    baseline: str | None,
    wall_s: float | None,
    repeats: int,
) -> SummaryRow:
    """Return the row of one group, its p-value not yet corrected."""
    first = rows[0]
    own = grades[first.group]
    against = _find_baseline(first.group, grades, baseline)
    undecided = sum(row.correct is None for row in rows)
    return SummaryRow(
        strategy=first.strategy,
        label=first.label,
        options=first.options,
        budget=first.budget,
        accuracy=replace(accuracy(own), ungraded=undecided),
        baseline=against,
        comparison=None if against is None else compare(own, grades[against]),
        p_holm=None,
        pass_at_k=tuple(mean_pass_at_k(own, k) for k in range(1, repeats + 1) if repeats > 1),
        means={name: _mean([getattr(row, name) for row in rows]) for name in COSTS},
        stop_reasons=dict(Counter(row.stop_reason for row in rows).most_common()),
        totals={name: _total([getattr(row, name) for row in rows]) for name in COUNTERS},
        wall_s=wall_s,
        searches=len(rows),
        problems=len(own),
        oracle=any(row.oracle for row in rows),
        right=_right(rows),
        coverage=_coverage(rows, repeats),
        chosen=_mean([row.correct for row in rows if row.covered and row.correct is not None]),
    )


def _coverage(rows: Sequence[ResultRow], repeats: int) -> Accuracy | None:
    """Return how often a right solution was found; None if no search was looked at."""
    found = accuracy(group_grades(rows, repeats, "covered"))
    return found if found.total else None


def _right(rows: Sequence[ResultRow]) -> dict[str, Any] | None:
    """Return what P(right) was worth; None if no graded search gave one."""
    pairs = [
        (row.right_prob, float(row.correct))
        for row in rows
        if row.right_prob is not None and row.correct is not None
    ]
    if not pairs:
        return None
    import numpy as np

    from stepnav.measure.right import describe

    probs, correct = np.array(pairs).T
    return describe(probs, correct)


def _find_baseline(
    group: Group, grades: Mapping[Group, Grades], baseline: str | None
) -> Group | None:
    """Return the group to compare with, None for the baseline itself and where it is missing."""
    if baseline is None:
        return None
    label, at = read_baseline(baseline)
    if at is None and group[0] == label:
        return None
    candidates = [(label, at)] if at is not None else [(label, group[1]), (label, None)]
    return next((c for c in candidates if c in grades and c != group), None)


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, None if any value is unknown."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _total(values: Sequence[int | None]) -> int | None:
    """Return the sum, None if any value is unknown."""
    known = [int(value) for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
