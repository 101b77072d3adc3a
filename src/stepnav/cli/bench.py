"""`stepnav bench`: strategies on the same problems, at the same budgets, into one run folder."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stepnav import build
from stepnav.cli.bench_plan import Comparison, PlanOptions, open_comparison
from stepnav.cli.console import Interrupted, Progress, print_json, resumable, say, tell_notes
from stepnav.cli.dry_run import tell_dry_run
from stepnav.cli.options.cluster import RayOptions, Workers
from stepnav.cli.options.models import ModelOptions
from stepnav.cli.options.shared import (
    AsJson,
    ReportTo,
    Resume,
    TaskOptions,
    TellsCoverage,
    names_in,
)
from stepnav.cli.remarks import tell_problems
from stepnav.cli.report import make_report
from stepnav.cli.run_folder import num_done, prepare
from stepnav.files.lock import locked
from stepnav.measure.extras import check_installed
from stepnav.measure.plan import SHARD
from stepnav.measure.plan_file import FILE_NAME, plan_digest, write_plan
from stepnav.measure.report.write import report_object
from stepnav.measure.run_folder import JOURNAL_NAME, open_run
from stepnav.measure.runner import Finished, grade_again, read_rows, wall_seconds
from stepnav.measure.summary import summarise
from stepnav.measure.trackers import check_trackers, tracked
from stepnav.measure.tuned_file import tuned_on_note
from stepnav.run.cluster import Cluster
from stepnav.run.journal import Journal
from stepnav.run.spreading import spread_searches, take_left


def run(
    *,
    out: Annotated[Path, typer.Option(help="Run folder: configuration, journal, report.")],
    plan_options: PlanOptions,
    task_options: TaskOptions,
    resume: Resume = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Tell searches, requests and tokens; load and ask nothing (names of the hub are "
            "fetched).",
        ),
    ] = False,
    active: Annotated[
        int, typer.Option(min=1, help="Searches that run at once, in each worker.")
    ] = 192,
    ray_options: RayOptions,
    workers: Workers = 1,
    model_options: ModelOptions,
    report_to: ReportTo = None,
    coverage: TellsCoverage = False,
    as_json: AsJson = False,
) -> None:
    """Compare strategies on the same problems, at the same budgets.

    Examples:

      stepnav bench --out runs/first --problems 100

      stepnav bench --out runs/equal --budgets 250,500,1000,2000 --resume

      stepnav bench --out runs/found --problems 100 --coverage

      stepnav bench --out runs/part-2 --shard 2/8

      stepnav bench --out runs/big --ray auto --workers 8 --gpus-per-worker 1

      stepnav bench --out runs/ablation --strategies cot,hgs,hgs:temperature=0.1,hgs:branching=4

      stepnav bench --out runs/best --tuned runs/tune/tuned.json --strategies all,hgs:published
    """
    check_installed()
    trackers = names_in(report_to)
    check_trackers(trackers)
    cluster = ray_options.cluster(workers, model_options)
    compared = plan_options.comparison(task_options, model_options, active)
    plan = compared.plan
    tell_problems(compared.drawn, plan_options.problems, f"{plan.task}/{plan.split}")
    tell_notes(filter(None, [tuned_on_note(plan.settings)]))
    done = num_done(out, plan, resume)
    if dry_run:
        tell_dry_run(plan, compared.problems, compared.task.extract, num_done=done, as_json=as_json)
        return
    prepare(out)
    with locked(out):
        models: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if cluster is None:
            opened = models = compared.used.open(active)
            run_left = partial(_run_here, compared, opened, active)
        else:
            options = (plan_options, task_options, model_options, active)
            run_left = partial(_run_there, compared, options, cluster)
        if not (out / FILE_NAME).exists():  # not before the models are there: a slip in their name
            write_plan(plan, out)  # would bind the folder to it
        with resumable(partial(_kept, out, compared)), models:
            _run_all(compared, out, run_left, trackers)
    _conclude(out, compared, plan_options.baseline, coverage, as_json)


def _run_here(
    compared: Comparison, models: build.Models, active: int, journal: Journal
) -> Iterator[Finished]:
    """Run what is left in this process."""
    tell_notes(models.notes)
    for found in compared.run(compared.cells, models, journal, active):
        if found.is_new:
            yield found


def _run_there(
    compared: Comparison,
    options: tuple[PlanOptions, TaskOptions, ModelOptions, int],
    cluster: Cluster,
    journal: Journal,
) -> Iterator[Finished]:
    """Run what is left on a cluster."""
    opened = partial(open_comparison, *options, plan_digest(compared.plan))
    labels = {cell.search_id: cell.label for cell in compared.cells}
    return spread_searches(
        cluster, opened, journal, list(labels), active=options[-1],
        tell=lambda search_id: Finished(search_id, labels[search_id]),
    )  # fmt: skip


def _run_all(
    compared: Comparison,
    out: Path,
    run_left: Callable[[Journal], Iterator[Finished]],
    trackers: Sequence[str],
) -> None:
    """Run what is left of the plan behind a progress bar, with the journal of its folder."""
    plan = compared.plan
    with contextlib.closing(Journal(out / JOURNAL_NAME, plan_digest(plan))) as journal:
        take_left(journal)
        grade_again(journal, compared.task.grade, only_ungraded=True)  # it may have been mended
        total, first = len(compared.cells), len(journal.finished_ids())
        with (
            tracked(trackers, out, plan, journal.verdicts()) as told,
            Progress("bench", total, "searches", first=first) as progress,
        ):
            for found in run_left(journal):
                progress.advance(found.label)
                told.tell(found)
            if trackers:
                rows = read_rows(plan, journal, grade=compared.task.grade)
                summary = summarise(
                    rows, baseline=plan.baseline_label, wall_s=wall_seconds(journal)
                )
                told.tell_report(report_object(summary, plan))


def _conclude(
    out: Path, compared: Comparison, baseline: str | None, coverage: bool, as_json: bool
) -> None:
    """Make the report of a run, or say what there is of its shard."""
    if SHARD in compared.plan.settings:
        _tell_shard(out, compared, as_json)
        return
    plan, journal = open_run(out)
    task = compared.task
    extract = task.extract if coverage else None
    try:
        with contextlib.closing(journal):
            make_report(
                out, plan, journal, task.grade, extract=extract, baseline=baseline, as_json=as_json
            )
    except KeyboardInterrupt:
        again = shlex.join(["stepnav", "report", str(out), *["--coverage"] * coverage])
        raise Interrupted(
            f"interrupted: all searches are done and kept; make the report with: {again}"
        ) from None


def _tell_shard(out: Path, compared: Comparison, as_json: bool) -> None:
    shard, searches = compared.plan.settings[SHARD], len(compared.cells)
    if as_json:
        print_json({"out": str(out), "shard": shard, "searches": searches})
        return
    say(
        f"Shard {shard} is done: {searches} searches in {out}. When all are: "
        "stepnav merge RUNS... --out RUN"
    )


def _kept(out: Path, compared: Comparison) -> str:
    """Return what there is of a run that was stopped."""
    done = num_done(out, compared.plan, True)
    return f"{done} of {len(compared.cells)} searches are done and kept"
