"""Rows of an imaginary run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stepnav.core.strategy import Strategy
from stepnav.measure.plan import BenchPlan, search_id
from stepnav.measure.rows import ResultRow

PLAN = BenchPlan(
    "arithmetic",
    "test",
    (Strategy("cot"), Strategy("hgs", {"children": 8, "note": "a|b <i>"})),
    problems=20,
    budgets=(250, 500),
    policy="tiny",
    reward="tiny-prm",
)


def make_row(label: str = "cot", budget: int | None = 250, **changes: Any) -> ResultRow:
    values: dict[str, Any] = {
        "strategy": label, "label": label, "options": {}, "budget": budget, "problem_id": "p0",
        "repeat": 0, "correct": True, "answer": "4", "stop_reason": "finished",
        "policy_tokens": 60, "policy_prompt_tokens": 200, "policy_cached_tokens": 120,
        "reward_tokens": 0, "policy_calls": 1, "reward_calls": 0, "requests": 1, "seconds": 0.5,
        "flops": 1e6,
    }  # fmt: skip
    values.update(changes)
    values.setdefault("search_id", search_id(label, budget, values["repeat"], values["problem_id"]))
    return ResultRow(**values)


def make_run(
    right: Mapping[tuple[str, int | None], int],
    *,
    problems: int = 20,
    repeats: int = 1,
    options: Mapping[str, Any] | None = None,
) -> list[ResultRow]:
    """Return a run in which the first so many problems of each group are right."""
    rows: list[ResultRow] = []
    for (label, budget), count in right.items():
        extra: dict[str, Any] = {}
        if label == "hgs":
            extra = {
                "backtracks": 2, "duplicates": 3, "iterations": 9, "fallbacks": 0,
                "reward_tokens": 80, "reward_calls": 9, "stop_reason": "accepted",
                "options": options or {},
            }  # fmt: skip
        for repeat in range(repeats):
            for index in range(problems):
                place = {"problem_id": f"p{index}", "repeat": repeat, "correct": index < count}
                rows.append(make_row(label, budget, **place, **extra))
    return rows


def labels(rows: Sequence[Any]) -> list[tuple[str, int | None]]:
    return [(row.label, row.budget) for row in rows]
