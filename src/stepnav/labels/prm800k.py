"""Raw PRM800K lines (Lightman et al. 2023, https://arxiv.org/abs/2305.20050).

The format is the one of the data set's README (https://github.com/openai/prm800k): a line is one
labelling session, a step has several alternatives, each rated -1, 0 or 1, and the session goes on
behind the chosen one. What is made of it:

- every rated alternative is one record: the steps chosen before it, masked, and the alternative
  with its rating. So each rating is learnt exactly once, and only at its own step.
- an alternative without a rating (null: the labeler stopped before it) makes no record; chosen, it
  stays in the prefix.
- a step written by the labeler (`human_completion`, used where nothing is chosen) has no rating. It
  stays in the prefix and is not learnt, although the labelers were asked for right steps: no one
  rated it.
- a step with its "# Answer" block is one step, text as it stands. It ends a solution; a record
  that ends in any other is only begun.
- behind a step where nothing was chosen nothing can be placed; what follows is counted as
  unreachable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from stepnav.core.errors import DataError, quote
from stepnav.files.rows import FileRow, MalformedRow, need
from stepnav.labels.records import StepRecord
from stepnav.labels.sessions import Session

ANSWER_MARK = "# Answer"
"""Stands before the answer in the last step of a solution."""

MARKS = ("quality_control", "screening", "bad_problem", "give_up")
"""Sessions that may be left out: served to every labeler for quality control; for screening
labelers; ended because the problem is broken; ended because the labeler was stuck."""

FLAGGED = "flagged"
"""Alternatives that may be left out: the labeler did not know how to rate them."""

RATINGS = {-1: -1, 0: 0, 1: 1}


def has_format(fields: Mapping[str, Any]) -> bool:
    """Return whether a row looks like a PRM800K session."""
    return isinstance(fields.get("question"), Mapping) and isinstance(fields.get("label"), Mapping)


def read_session(row: FileRow, *, leave_out: frozenset[str] = frozenset()) -> Session:
    """Return one session.

    Args:
      row: the line.
      leave_out: `FLAGGED` leaves flagged alternatives out.

    Raises:
      MalformedRow: a field is missing or cannot be.
      DataError: a rating is none.
    """
    label = need(row.fields, "label", dict)
    problem = need(need(row.fields, "question", dict), "problem", str)
    steps = need(label, "steps", list)
    finish = str(label.get("finish_reason"))
    counts: Counter[str] = Counter({f"finish={finish}": 1})
    records: list[StepRecord] = []
    prefix: tuple[str, ...] = ()
    is_broken = False
    for number, step in enumerate(steps, 1):
        alternatives = _alternatives(step, number)
        if is_broken:
            count = len(alternatives)
            counts.update(unreachable_steps=1, unreachable_alternatives=count, alternatives=count)
            continue
        records += _records(
            row, problem, prefix, alternatives, number=number, counts=counts, leave_out=leave_out
        )
        text = _next(step, alternatives, number, counts)
        is_broken = text is None
        prefix = prefix if text is None else (*prefix, text)
    marks = frozenset(mark for mark in MARKS if _has_mark(mark, row.fields, finish))
    counts.update(mark for mark in marks if mark != finish)
    return Session(
        row.place, problem, tuple(records), len(steps), finish == "solution", marks, counts=counts
    )


def _has_mark(mark: str, fields: Mapping[str, Any], finish: str) -> bool:
    if mark == "quality_control":
        return fields.get("is_quality_control_question") is True
    if mark == "screening":
        return fields.get("is_initial_screening_question") is True
    return finish == mark


def _alternatives(step: Any, number: int) -> list[dict[str, Any]]:
    """Return a step's alternatives; there are none in a step that is the labeler's only."""
    if not isinstance(step, dict):
        raise MalformedRow(f"step {number} must be an object (got {quote(str(step))})")
    found = step.get("completions")
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise MalformedRow(f"step {number}: completions must be a list of objects")
    for item in found:
        need(item, "text", str)
    return found


def _records(
    row: FileRow,
    problem: str,
    prefix: tuple[str, ...],
    alternatives: list[dict[str, Any]],
    *,
    number: int,
    counts: Counter[str],
    leave_out: frozenset[str],
) -> list[StepRecord]:
    """Return a record for each rated alternative of one step, and count them all."""
    masked = (None,) * len(prefix)
    records: list[StepRecord] = []
    ratings: dict[str, set[int]] = {}
    for place, alternative in enumerate(alternatives, 1):
        text, flagged = alternative["text"], alternative.get("flagged") is True
        rating = _rating(alternative.get("rating"), f"{row.place}, step {number}")
        known = ratings.setdefault(text.strip(), set())
        counts.update(answers=ANSWER_MARK in text, flagged=flagged)
        if flagged and FLAGGED in leave_out:
            counts["flagged_left_out"] += 1
        elif rating is None:
            counts["unrated"] += 1
        else:
            known.add(rating)
            origin = f"{row.origin}, step {number}, alternative {place}"
            records.append(
                StepRecord(
                    problem,
                    (*prefix, text),
                    (*masked, rating),
                    origin=origin,
                    is_finished=ANSWER_MARK in text,
                )
            )
    counts.update(
        alternatives=len(alternatives),
        repeated=len(alternatives) - len(ratings),
        contradicted=sum(len(known) > 1 for known in ratings.values()),
    )
    return records


def _rating(rating: Any, place: str) -> int | None:
    if rating is None:
        return None
    if isinstance(rating, bool) or not isinstance(rating, (int, float)) or rating not in RATINGS:
        raise DataError(f"{place}: the rating {rating!r} is not -1, 0, 1 or null")
    return RATINGS[rating]  # type: ignore[index]


def _next(
    step: dict[str, Any], alternatives: list[dict[str, Any]], number: int, counts: Counter[str]
) -> str | None:
    """Return the text with which the solution goes on; None if it does not."""
    chosen, human = step.get("chosen_completion"), step.get("human_completion")
    if human is not None and not isinstance(human, dict):
        raise MalformedRow(f"step {number}: human_completion must be an object or null")
    if chosen is not None:
        if type(chosen) is not int or not 0 <= chosen < len(alternatives):
            raise MalformedRow(
                f"step {number}: chosen_completion {chosen!r} is none of its {len(alternatives)} "
                "completions"
            )
        counts.update(chosen=1, human_unused=human is not None)
        return str(alternatives[chosen]["text"])
    if human is not None:
        counts["human_written"] += 1
        return need(human, "text", str)
    counts["undecided"] += 1
    return None
