"""`stepnav show`: the trees of one problem again, from the journal."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from stepnav.cli.console import print_json, stdout
from stepnav.cli.options.shared import AsJson, check_written
from stepnav.cli.report import grader
from stepnav.core.codec import encode_result
from stepnav.core.errors import ConfigError, DataError, nearest
from stepnav.core.outcome import SearchResult
from stepnav.files.atomic import write_text
from stepnav.measure.plan import BenchPlan, Cell, cells
from stepnav.measure.plan_file import FILE_NAME
from stepnav.measure.report.problems import natural
from stepnav.measure.run_folder import JOURNAL_NAME, open_run
from stepnav.run.traces import FILE_NAME as TRACES_NAME
from stepnav.run.traces import read_trace
from stepnav.view.shown import ShownTree


def run(
    *,
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    problem: Annotated[
        str,
        typer.Option(
            help="Id of the problem, its number in the run, or the id of a server's trace."
        ),
    ],
    strategy: Annotated[str | None, typer.Option(help="Only this strategy. [default: all]")] = None,
    budget: Annotated[int | None, typer.Option(help="Only this budget.")] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write the tree as an HTML page; one search only; - is standard output."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the search trees of one problem again, from the journal.

    Example:

      stepnav show runs/first --problem 0 --strategy hgs

      stepnav show traces --problem 5fe3a1c04be94e6d8d0a7ba6b1b8e7c2
    """
    if page is not None:
        check_written("--page", page, as_json, run / FILE_NAME, run / JOURNAL_NAME)
    if (run / TRACES_NAME).is_file():
        _show_trace(run, problem, page, as_json)
        return
    plan, journal = open_run(run)
    with closing(journal):
        results = {result.search_id: result for result in journal.results()}
        verdicts = journal.verdicts()
    if not results:
        raise DataError(f"{run} holds no finished search yet; go on with stepnav bench --resume")
    _check(strategy, plan.labels, "strategy")
    found = _choose(plan, results, problem, strategy, budget)
    if page is not None and len(found) != 1:
        raise ConfigError(
            f"--page shows one search, and {len(found)} fit; add --strategy, --budget"
        )
    grade = grader(plan)
    for cell, result in found:
        is_graded = result.search_id in verdicts
        correct = (
            verdicts[result.search_id] if is_graded else grade(result.tree.problem, result.answer)
        )
        more = {"label": cell.strategy.label, "correct": correct}
        _show(ShownTree(result, correct), page, as_json, _head(cell), **more)


def _head(cell: Cell) -> Text:
    """Return what stands above the tree of a search."""
    limit = "" if cell.budget is None else f", budget {cell.budget}"
    return Text.assemble((cell.strategy.label, "bold"), f"{limit}, repeat {cell.repeat}")


def _show(
    shown: ShownTree, page: Path | None, as_json: bool, head: Text | None = None, **more: Any
) -> None:
    """Show a search as it is asked for; `more` is what its JSON says besides."""
    if as_json:
        print_json({**encode_result(shown.result), **more})
    elif page is None and head is not None:
        stdout().print(head)
        shown.show()
        stdout().print()
    elif page is None:
        shown.show()
    if page is not None:
        write_text(page, shown.page())


def _show_trace(folder: Path, trace: str, page: Path | None, as_json: bool) -> None:
    """Show a search that a server has kept."""
    result = read_trace(folder, trace)
    if result is None:
        raise ConfigError(
            f"{folder} holds no trace {trace!r}; a reply tells its own under stepnav.trace"
        )
    _show(ShownTree(result), page, as_json)


def _choose(
    plan: BenchPlan,
    results: dict[str, SearchResult],
    problem: str,
    strategy: str | None,
    budget: int | None,
) -> list[tuple[Cell, SearchResult]]:
    ids = list(dict.fromkeys(result.problem_id for result in results.values()))
    if problem.isdecimal() and int(problem) < len(ids):
        problem = sorted(ids, key=natural)[int(problem)]
    _check(problem, ids, "problem")
    found = []
    for cell in cells(replace(plan, problems=len(ids)), ids):
        fits = cell.problem_id == problem and strategy in (None, cell.strategy.label)
        if fits and budget in (None, cell.budget) and cell.search_id in results:
            found.append((cell, results[cell.search_id]))
    if not found:
        budgets = ", ".join("none" if limit is None else str(limit) for limit in plan.budgets)
        raise ConfigError(f"no finished search fits; the budgets of this run are: {budgets}")
    return found


def _check(name: str | None, allowed: list[str], kind: str) -> None:
    if name is not None and name not in allowed:
        shown = ", ".join(sorted(allowed, key=natural)[:8])
        raise ConfigError(
            f"the run has no {kind} {name!r}{nearest(name, allowed)}; it has {shown}"
            + (", ..." if len(allowed) > 8 else "")
        )
