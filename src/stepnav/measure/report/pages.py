"""The report as a Markdown file and as one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from stepnav.measure.plan import BenchPlan, read_baseline
from stepnav.measure.report.problems import problems_html
from stepnav.measure.report.tables import report_tables
from stepnav.measure.report.text_table import html_table, markdown_report
from stepnav.measure.rows import ResultRow
from stepnav.measure.stats.intervals import MIN_UNITS, NUM_RESAMPLES
from stepnav.measure.stats.paired import MIN_DISCORDANT
from stepnav.measure.summary import SummaryRow
from stepnav.measure.tuned_file import tuned_on_note
from stepnav.view.document import asset, document


def markdown_page(summary: Sequence[SummaryRow], plan: BenchPlan, plot: str) -> str:
    """Return the report in Markdown.

    Args:
      summary: its rows.
      plan: what was run.
      plot: file name of the plot, relative to the report.
    """
    picture = f"![Accuracy against tokens, FLOPs and seconds per search]({plot})"
    tables, told = report_tables(summary, plan), notes(summary, plan)
    return markdown_report(page_title(plan), _subtitle(plan), tables, picture, told)


def html_page(
    summary: Sequence[SummaryRow],
    plan: BenchPlan,
    svg: str,
    rows: Sequence[ResultRow] = (),
    *,
    trees: str | None = None,
) -> str:
    """Return the report as one HTML page that loads nothing.

    Args:
      summary: its rows.
      plan: what was run.
      svg: the plot.
      rows: finished searches, listed by problem.
      trees: file name of the page that holds the trees (`trees_page`); None links to none.
    """
    drawing = svg[svg.index("<svg") :]
    subtitle = html.escape(_subtitle(plan))
    link = f' <a href="{trees}">All search trees</a>.' if trees else ""
    link += ' <a href="#problems">Who was right, problem by problem</a>.' if rows else ""
    body = [f"<h1>{html.escape(page_title(plan))}</h1>\n<p>{subtitle}{link}</p>\n"]
    for position, table in enumerate(report_tables(summary, plan)):
        body.append(f"<h2>{html.escape(table.title)}</h2>\n{html_table(table)}")
        if position == 0:
            body.append(f"<figure>{drawing}</figure>\n")
    items = "".join(f"<li>{html.escape(note)}</li>\n" for note in notes(summary, plan))
    body.append(f"<h2>How to read this</h2>\n<ul>\n{items}</ul>\n")
    if rows:
        body.append(f'<h2 id="problems">Problems</h2>\n{problems_html(rows, trees=trees)}')
    return document(
        page_title(plan),
        "".join(body),
        style=asset(__package__, "report.css"),
        script=asset(__package__, "report.js") if rows else "",
    )


def notes(summary: Sequence[SummaryRow], plan: BenchPlan) -> list[str]:
    """Return how the numbers were made, and what a reader must know about them."""
    tests = {row.comparison.test for row in summary if row.comparison}
    compared = sum(row.p_holm is not None for row in summary)
    lines = [
        "Accuracy is right answers over graded ones. Its interval is a BCa bootstrap over problems "
        f"({NUM_RESAMPLES:,} resamples; a problem keeps all its repeats), or the exact "
        f"Clopper-Pearson interval with problems as trials where fewer than {MIN_UNITS} problems "
        "are right or wrong.",
        "Ungraded are answers that the grader could not decide in its time, and searches whose "
        "backend failed. They count neither as right nor as wrong; report.json holds the accuracy "
        "if all of them were wrong, and if all were right (accuracy_bounds).",
        "Budget limits the generated policy tokens of one search. Costs are means per search and "
        "hold discarded and failed work. FLOPs are 2 x parameters (without a table that only looks "
        "up tokens) x processed tokens, both models.",
        "Wall seconds are for all searches of the row together, many of which may run at once.",
    ]
    if compared:
        lines.insert(
            1,
            f"Difference, in percentage points, is to the baseline at {_at(plan)}, on the same "
            "problems and seeds. Its interval is the same bootstrap over problems, or from exact "
            f"intervals where fewer than {MIN_DISCORDANT} problems differ, "
            f"or all but fewer than {MIN_UNITS} "
            "have the same outcome. Won : lost counts the "
            "pairs that only this strategy, or only the baseline, got right.",
        )
        lines.insert(2, _test_note("sign-flip" in tests, compared))
    if any(row.coverage for row in summary):
        lines.append(
            "Coverage is how often one of the search's finished solutions was right, chosen or "
            "not: what a perfect choice among them would reach. The rest was never found. "
            "Undecided searches are left out, which flatters; report.json holds coverage_bounds."
        )
    if any(row.oracle for row in summary):
        lines.append(
            "An upper bound is a row whose reward model reads the reference answer: no real "
            "reward model can be expected to reach it."
        )
    told = (tuned_on_note(plan.settings), incomplete_note(summary, plan))
    return lines + [note for note in told if note]


def incomplete(summary: Sequence[SummaryRow], plan: BenchPlan) -> list[dict[str, Any]]:
    """Return the rows of the plan that lack searches: label, budget, searches, and of how many."""
    wanted = (plan.problems or max((row.problems for row in summary), default=0)) * plan.seeds
    done = {(row.label, row.budget): row.searches for row in summary}
    return [
        {"label": label, "budget": budget, "searches": done.get((label, budget), 0), "of": wanted}
        for label in plan.labels
        for budget in plan.budgets
        if done.get((label, budget), 0) < wanted
    ]


def incomplete_note(summary: Sequence[SummaryRow], plan: BenchPlan) -> str | None:
    """Return what searches are missing in words; None if none is."""
    named = ", ".join(
        f"{row['label']} at {_budget(row['budget'])} has {row['searches']} of {row['of']}"
        for row in incomplete(summary, plan)
    )
    return (
        f"The run is not complete: {named} searches. Those that end first are often the easier "
        "ones, so their accuracy may be too high."
        if named
        else None
    )


def _budget(budget: int | None) -> str:
    return "no budget" if budget is None else f"budget {budget}"


def _test_note(is_repeated: bool, compared: int) -> str:
    """Return which test the p-values are from."""
    name = (
        "the exact sign-flip permutation test over problems (McNemar's test where each problem "
        "has one pair)"
        if is_repeated
        else "McNemar's exact test"
    )
    return (
        f"p is two-sided, from {name}; Holm p is corrected for the {compared} comparisons of this "
        "table."
    )


def _at(plan: BenchPlan) -> str:
    """Return the budget that the baseline is taken at, in words."""
    _, budget = read_baseline(plan.baseline_label or "")
    return "the same budget" if budget is None else f"{budget:,} tokens"


def page_title(plan: BenchPlan) -> str:
    """Return what a page of the run is called."""
    return f"{plan.task}, {plan.split}: {len(plan.strategies)} strategies compared"


def _subtitle(plan: BenchPlan) -> str:
    problems = "all problems" if plan.problems is None else f"{plan.problems} problems"
    seeds = f"{plan.seeds} seeds" if plan.seeds > 1 else f"seed {plan.seed}"
    models = f"policy {plan.policy or 'unnamed'}, reward {plan.reward or 'none'}"
    against = f"baseline {plan.baseline_label}" if plan.baseline_label else "no baseline"
    return f"{problems}, {seeds}; {models}; {against}."
