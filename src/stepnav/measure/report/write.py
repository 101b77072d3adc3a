"""A run's report: one object for programs, files for people.

`report.json`, `report.md`, `report.html` and `trees.html` (both self-contained), `results.parquet`
(one row per search), the plot of accuracy against tokens, FLOPs and seconds as PNG and SVG, and
where a strategy says how likely it is right, a reliability plot.
Everything here is derived: it can be thrown away and made again from the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from stepnav.core.outcome import SearchResult
from stepnav.files.atomic import write_bytes, write_text, write_with
from stepnav.files.parquet import write_table
from stepnav.measure.extras import load
from stepnav.measure.plan import BenchPlan
from stepnav.measure.plan_file import plan_digest
from stepnav.measure.plots import plot_accuracy
from stepnav.measure.report.pages import html_page, incomplete, markdown_page, page_title
from stepnav.measure.report.problems import group_text
from stepnav.measure.report.trees import trees_page
from stepnav.measure.rows import ResultRow
from stepnav.measure.summary import Group, SummaryRow, summarise

PLOT_NAME = "accuracy_vs_cost"
RIGHT_PLOT_NAME = "right_prob.png"
TREES_NAME = "trees.html"


def write_report(
    run_folder: Path,
    rows: Sequence[ResultRow],
    plan: BenchPlan,
    *,
    wall_s: Mapping[Group, float] | None = None,
    baseline: str | None = None,
    results: Iterable[SearchResult] = (),
    levels: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Write every file of the report into the run folder, and return the object of `report.json`.

    Args:
      run_folder: where they go.
      rows: finished searches; may be a part of the plan's.
      plan: what was run.
      wall_s: (label, budget) -> wall-clock seconds in which its searches ran, where known.
      baseline: label to compare with; None takes the plan's.
      levels: accuracies to draw as lines across the plot, by what they are of.
      results: the searches of the rows; without them there is no page of trees.
    Raises:
      DataError: a file cannot be written, or two rows are the same search.
    """
    plan = replace(plan, baseline=baseline or plan.baseline)
    summary = summarise(rows, baseline=plan.baseline_label, wall_s=wall_s)
    report = report_object(summary, plan)
    write_text(run_folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_with(run_folder / "results.parquet", lambda place: write_parquet(place, rows))
    png, svg = plot_accuracy(summary, title=f"{plan.task} ({plan.split})", levels=levels)
    write_bytes(run_folder / f"{PLOT_NAME}.png", png)
    write_text(run_folder / f"{PLOT_NAME}.svg", svg)
    if told := {group_text(row.group): row.right for row in summary if row.right}:
        from stepnav.measure.right import plot_right  # loads numpy

        write_bytes(run_folder / RIGHT_PLOT_NAME, plot_right(told))
    write_text(run_folder / "report.md", markdown_page(summary, plan, f"{PLOT_NAME}.png"))
    results = list(results)
    trees = TREES_NAME if results else None
    if trees:
        page = trees_page(
            results, rows, title=f"{page_title(plan)}: search trees", back="report.html"
        )
        write_text(run_folder / trees, page)
    write_text(run_folder / "report.html", html_page(summary, plan, svg, rows, trees=trees))
    return report


def report_object(summary: Sequence[SummaryRow], plan: BenchPlan) -> dict[str, Any]:
    """Return the report as plain JSON values; what is not known is None."""
    return {
        "config": plan_digest(plan),
        "task": plan.task,
        "split": plan.split,
        "problems": _num_problems(summary, plan),
        "seeds": plan.seeds,
        "rows": [row_object(row) for row in summary],
        "incomplete": incomplete(summary, plan),
    }


def row_object(row: SummaryRow) -> dict[str, Any]:
    """Return one row of the report as plain JSON values."""
    versus = row.comparison
    return {
        "strategy": row.strategy,
        "label": row.label,
        "budget": row.budget,
        "accuracy": row.accuracy.value,
        "ci95": row.accuracy.interval and row.accuracy.interval.ends,
        "correct": row.accuracy.correct,
        "total": row.accuracy.total,
        "ungraded": row.accuracy.ungraded,
        "accuracy_bounds": row.accuracy.bounds and list(row.accuracy.bounds),
        "policy_tokens_per_problem": row.means["policy_tokens"],
        "reward_tokens_per_problem": row.means["reward_tokens"],
        "wall_s": row.wall_s,
        "p_vs_baseline": versus and versus.p,
        "p_holm": row.p_holm,
        "test": versus and versus.test,
        "baseline": row.baseline and {"label": row.baseline[0], "budget": row.baseline[1]},
        "difference": versus and versus.difference,
        "difference_ci95": versus and versus.interval and versus.interval.ends,
        "won": versus and versus.won,
        "lost": versus and versus.lost,
        "pairs": versus and versus.pairs,
        "pairs_missing": versus and versus.missing,
        "coverage": row.coverage and row.coverage.value,
        "coverage_ci95": row.coverage and row.coverage.interval and row.coverage.interval.ends,
        "coverage_bounds": row.coverage and row.coverage.bounds and list(row.coverage.bounds),
        "covered": row.coverage and row.coverage.correct,
        "chosen_where_found": row.chosen,
        "pass_at_k": {str(entry.k): entry.value for entry in row.pass_at_k},
        "prompt_tokens_per_problem": row.means["policy_prompt_tokens"],
        "cached_tokens_per_problem": row.means["policy_cached_tokens"],
        "policy_calls_per_problem": row.means["policy_calls"],
        "reward_calls_per_problem": row.means["reward_calls"],
        "requests_per_problem": row.means["requests"],
        "seconds_per_problem": row.means["seconds"],
        "flops_per_problem": row.means["flops"],
        "stop_reasons": dict(row.stop_reasons),
        **row.totals,
        "searches": row.searches,
        "is_upper_bound": row.oracle,
        "options": dict(row.options),
        "right_prob": row.right and dict(row.right),
    }


def write_parquet(path: Path, rows: Sequence[ResultRow]) -> None:
    """Write one row per search; options are a column of JSON text."""
    pa = load("pyarrow")
    kinds = {
        "int": pa.int64(), "int | None": pa.int64(), "float": pa.float64(),
        "float | None": pa.float64(), "bool": pa.bool_(), "bool | None": pa.bool_(),
    }  # fmt: skip
    schema = pa.schema(
        [(entry.name, kinds.get(str(entry.type), pa.string())) for entry in fields(ResultRow)]
    )
    columns: dict[str, list[Any]] = {
        name: [getattr(row, name) for row in rows] for name in schema.names
    }
    columns["options"] = [json.dumps(dict(row.options)) for row in rows]
    write_table(path, pa.table(columns, schema=schema))


def _num_problems(summary: Sequence[SummaryRow], plan: BenchPlan) -> int:
    """Return the number of problems: the plan's, or the most that any row has seen."""
    return plan.problems or max((row.problems for row in summary), default=0)
