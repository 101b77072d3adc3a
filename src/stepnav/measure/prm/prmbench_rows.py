"""Rows of PRMBench (Song et al. 2025, arXiv 2501.03124): changed solutions and their wrong steps.

What is scored is `modified_process` for `modified_question`; `error_steps` are counted from 1. The
number before a step is no part of it, as in the official evaluation. There, a second row of the
same category and `idx` is left out, and so it is here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stepnav.core.errors import quote
from stepnav.measure.prm.case import Case

FIELDS = ("modified_question", "modified_process", "error_steps", "classification")

CATEGORIES: Mapping[str, tuple[str, str]] = {
    "redundency": ("NR", "simplicity"),
    "circular": ("NCL", "simplicity"),
    "counterfactual": ("ES", "soundness"),
    "step_contradiction": ("SC", "soundness"),
    "domain_inconsistency": ("DC", "soundness"),
    "confidence": ("CI", "soundness"),
    "missing_condition": ("PS", "sensitivity"),
    "deception": ("DR", "sensitivity"),
    "multi_solutions": ("MS", "sensitivity"),
}
"""The file's name of a category, to the paper's short one and its dimension."""

_NUMBER = re.compile(r"\s*(?:Step\s*)?\d+\.(?!\d)\s*", re.IGNORECASE)


def prmbench_case(number: int, row: Mapping[str, Any]) -> Case:
    """Return the solution in a row.

    Raises:
      KeyError: a field is missing.
      ValueError: one has not what it should have.
    """
    question, steps, wrong, category = (row[name] for name in FIELDS)
    if category not in CATEGORIES:
        raise ValueError(
            f"classification must be one of {', '.join(CATEGORIES)} (got {quote(str(category))})"
        )
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"modified_question must be text (got {quote(repr(question))})")
    if not isinstance(steps, list) or not steps or not all(isinstance(s, str) for s in steps):
        raise ValueError(f"modified_process must be a list of texts (got {quote(repr(steps))})")
    if not isinstance(wrong, list) or not all(type(n) is int and n >= 1 for n in wrong):
        raise ValueError(f"error_steps must be numbers of steps from 1 (got {quote(repr(wrong))})")
    return Case(
        id=f"{category}_{row.get('idx', number)}",
        group=str(row.get("original_question") or question),
        question=question,
        steps=tuple(_NUMBER.sub("", step, count=1) or step for step in steps),
        is_whole=True,
        labels=tuple(-1 if place in wrong else 1 for place in range(1, len(steps) + 1)),
        category=category,
    )


def without_repeats(items: Sequence[Case]) -> tuple[list[Case], tuple[str, ...]]:
    """Return the first solution of each category and `idx`, and how many others there are."""
    first = {case.id: case for case in reversed(items)}
    kept = [case for case in items if first[case.id] is case]
    repeats = len(items) - len(kept)
    return kept, (f"{repeats} rows with the category and idx of an earlier one",) * bool(repeats)
