"""`stepnav report`: tables, plot and files of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer

from stepnav import build
from stepnav.cli.console import (
    Progress,
    leave_garbage,
    loading,
    note,
    print_json,
    stdout,
    tell,
    tell_notes,
)
from stepnav.cli.options.shared import AsJson, TellsCoverage
from stepnav.cli.remarks import is_cut, tell_cut, tell_failed
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.outcome import SearchResult
from stepnav.files.lock import locked
from stepnav.measure import runner
from stepnav.measure.coverage import Coverage
from stepnav.measure.plan import BenchPlan
from stepnav.measure.plan_file import plan_digest
from stepnav.measure.report.pages import incomplete_note
from stepnav.measure.report.terminal import print_summary
from stepnav.measure.report.write import write_report
from stepnav.measure.rows import ResultRow
from stepnav.measure.run_folder import JOURNAL_NAME, open_run
from stepnav.measure.runner import Grade, HasRight, read_rows, wall_seconds
from stepnav.measure.summary import summarise
from stepnav.run.journal import Journal
from stepnav.tasks.task import Task

Extract = Callable[[str], "str | None"]


def run(
    *,
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    baseline: Annotated[
        str | None,
        typer.Option(help="Strategy to compare with, or STRATEGY@BUDGET. [default: the run's]"),
    ] = None,
    grade_again: Annotated[
        bool,
        typer.Option(
            "--grade-again", help="First grade all answers again, by the task's code as it is now."
        ),
    ] = False,
    coverage: TellsCoverage = False,
    as_json: AsJson = False,
) -> None:
    """Make the report of a run: tables, plot, Markdown, HTML, JSON, Parquet.

    Examples:

      stepnav report runs/first --baseline self_consistency

      stepnav report runs/first --coverage

      stepnav report runs/mine --grade-again
    """
    if grade_again:
        _grade_again(run)
    plan, journal = open_run(run)
    with contextlib.closing(journal):
        extract = load_task(plan).extract if coverage else None
        make_report(
            run, plan, journal, grader(plan), extract=extract, baseline=baseline, as_json=as_json
        )


def make_report(
    run: Path,
    plan: BenchPlan,
    journal: Journal,
    grade: Grade,
    *,
    extract: Extract | None,
    baseline: str | None,
    as_json: bool,
) -> None:
    """Write the report of a run and print its tables.

    Args:
      run: the run's folder.
      plan: what it was made with.
      journal: what came of it.
      grade: judges what has no verdict in the journal.
      extract: finds the answer in a solution's text, to tell the coverage; None leaves that out.
      baseline: what is compared with; None takes the run's.
      as_json: whether to print JSON.
    Raises:
      ConfigError: the run has no such baseline.
      DataError: no search is finished.
      BackendError: every search failed.
    """
    if baseline is not None:
        plan.check_baseline(baseline)
    with loading("the run"):
        results = list(journal.results())
        leave_garbage()  # nor are they looked through later
    with _covering(extract, grade, len(results)) as has_right:
        rows = read_rows(plan, journal, grade=grade, results=results, has_right=has_right)
    if not rows:
        raise DataError(f"{run} holds no finished search yet; go on with stepnav bench --resume")
    wall_s = wall_seconds(journal)
    report = write_report(
        run, rows, plan, wall_s=wall_s, baseline=baseline, results=results, levels=_levels(plan)
    )
    if as_json:
        print_json(report)
    else:
        _print(run, rows, plan, wall_s, baseline)
    tell_cut(sum(map(is_cut, results)), len(rows))
    errors = [result.error for result in results if result.error is not None]
    tell_failed(errors, len(rows), "stepnav bench --resume tries them again")


@contextlib.contextmanager
def _covering(
    extract: Extract | None, grade: Grade, num_searches: int
) -> Iterator[HasRight | None]:
    """Give what tells, behind a progress bar, whether a search found a right solution."""
    if extract is None:
        yield None
        return
    coverage = Coverage(extract, grade)
    with Progress("coverage", num_searches, "searches") as progress:

        def has_right(result: SearchResult, correct: bool | None) -> bool | None:
            found = coverage.has_right(result, correct)
            progress.advance()
            return found

        yield has_right


def _grade_again(run: Path) -> None:
    """Grade the answers of a run again, and say how many verdicts that changes."""
    plan, journal = open_run(run)
    journal.close()
    task = load_task(plan)
    path = run / JOURNAL_NAME
    with locked(run), contextlib.closing(Journal(path, plan_digest(plan))) as journal:
        graded, changed = runner.grade_again(journal, task.grade)
    by = f"{plan.task} as it is now"
    tell_notes([f"{graded} answers were graded again by {by}; {changed} verdicts changed"])


def _levels(plan: BenchPlan) -> dict[str, float]:
    """Return what the plot should show besides the run's strategies."""
    found = build.backbone_accuracy(plan.task, plan.reward)
    if found is None:
        return {}
    accuracy, split = found
    return {f"cot by the reward model's backbone ({split} split)": accuracy}


def grader(plan: BenchPlan) -> Grade:
    """Return what grades the answers of a run, by its benchmark, which is loaded when it is needed.

    Where the journal holds all verdicts it is not: its file, or its code, may be gone.
    """
    task = cache(partial(load_task, plan))
    return lambda problem, answer: task().grade(problem, answer)


def load_task(plan: BenchPlan) -> Task:
    """Return the benchmark of a run.

    Raises:
      ConfigError: it is not here.
    """
    names = ("sandbox", "question_field", "answer_field")
    given = {name: plan.settings[name] for name in names if name in plan.settings}
    try:
        return build.load_task(plan.task, **given)
    except ConfigError as error:
        raise ConfigError(
            f"answers cannot be graded without the run's task: {error}; where stepnav.bench made "
            "the run, call it again with the same out, and coverage=True for that"
        ) from None


def _print(
    run: Path, rows: list[ResultRow], plan: BenchPlan, wall_s: Any, baseline: str | None
) -> None:
    summary = summarise(rows, baseline=baseline or plan.baseline_label, wall_s=wall_s)
    print_summary(stdout(), summary)
    if lacks := incomplete_note(summary, plan):
        note(lacks)
    tell(f"report: {run / 'report.md'}, {run / 'report.html'}")
