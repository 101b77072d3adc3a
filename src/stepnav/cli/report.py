"""`stepnav report`: tables, plot and files of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.bench.plan import BenchPlan
from stepnav.bench.plan_file import read_plan
from stepnav.bench.report import write_report
from stepnav.bench.report_pages import incomplete_note
from stepnav.bench.report_tables import print_summary
from stepnav.bench.rows import ResultRow
from stepnav.bench.runner import read_rows, wall_seconds
from stepnav.bench.summary import summarise
from stepnav.cli.console import print_json, stderr, stdout
from stepnav.cli.remarks import is_cut, tell_cut
from stepnav.core.errors import BackendError, ConfigError, DataError, nearest
from stepnav.run.journal import Journal


def run(*, run: Path, baseline: str | None, as_json: bool) -> None:
    """Write and print the report of a run folder."""
    plan, journal = open_run(run)
    if baseline is not None and baseline not in plan.labels:
        raise ConfigError(
            f"the run has no strategy {baseline!r}{nearest(baseline, plan.labels)}; "
            f"it has {', '.join(plan.labels)}"
        )
    try:
        task = build.load_task(plan.task, sandbox=plan.settings.get("sandbox", "process"))
        oracle = build.NEEDS_REWARD if plan.reward == "oracle" else frozenset()
        rows = read_rows(plan, journal, grade=task.grade, oracle=oracle)
        wall_s = wall_seconds(journal)
        errors: list[str] = []
        num_cut = 0
        for result in journal.results():
            errors += [] if result.error is None else [result.error]
            num_cut += is_cut(result)
    finally:
        journal.close()
    if not rows:
        raise DataError(f"{run} holds no finished search yet; go on with stepnav bench --resume")
    report = write_report(run, rows, plan, wall_s=wall_s, baseline=baseline)
    if as_json:
        print_json(report)
    else:
        _print(run, rows, plan, wall_s, baseline)
    tell_cut(num_cut, len(rows))
    _tell_failed(errors, len(rows))


def open_run(run: Path) -> tuple[BenchPlan, Journal]:
    """Return the plan and the journal of a run folder."""
    from stepnav.cli.bench import JOURNAL_NAME

    plan = read_plan(run)
    path = run / JOURNAL_NAME
    if not path.is_file():
        raise DataError(f"{run} has no {JOURNAL_NAME}; stepnav bench --resume makes it")
    return plan, Journal(path, is_read_only=True)


def _tell_failed(errors: list[str], num_searches: int) -> None:
    """Say that searches failed and why the first one did; with nothing but failures, stop.

    Raises:
      BackendError: every search failed.
    """
    if errors:
        text = (
            f"{len(errors)} of {num_searches} searches failed (the first: {errors[0]}); "
            "stepnav bench --resume tries them again"
        )
        if len(errors) == num_searches:
            raise BackendError(text)
        stderr().print(f"note: {text}", soft_wrap=True)


def _print(
    run: Path, rows: list[ResultRow], plan: BenchPlan, wall_s: Any, baseline: str | None
) -> None:
    summary = summarise(rows, baseline=baseline or plan.baseline_label, wall_s=wall_s)
    print_summary(stdout(), summary)
    if note := incomplete_note(summary, plan):
        stderr().print(f"note: {note}", soft_wrap=True, markup=False)
    stderr().print(f"report: {run / 'report.md'}, {run / 'report.html'}", soft_wrap=True)
