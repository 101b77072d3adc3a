"""`stepnav data rollouts`: step labels by completing prefixes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from stepnav import build
from stepnav.cli.console import Progress, resumable, tell_notes
from stepnav.cli.data.rollouts_problems import (
    FromRun,
    NumProblems,
    Paths,
    choose_problems,
    paths_digest,
)
from stepnav.cli.data.rollouts_report import report
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.cluster import RayOptions, Workers
from stepnav.cli.options.models import ModelOptions
from stepnav.cli.options.shared import AsJson, ExcludeProblems, Resume, Seed, TaskName, TaskOptions
from stepnav.core.errors import ConfigError, choose
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Problem, Trajectory
from stepnav.core.requests import Program
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Tree
from stepnav.files.claim import check_claim, claim_folder
from stepnav.files.lock import locked
from stepnav.labels.rollouts import LABELS, METHODS, label_problem
from stepnav.measure.plan_file import problems_digest
from stepnav.measure.prm.scores import folder_digest
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.search import Search
from stepnav.run.spreading import Begun, SearchWork, Told, spread_searches, take_left
from stepnav.tasks.checked import GradeFault, strict
from stepnav.tasks.task import Task

JOURNAL_NAME = "journal.sqlite"
SETTINGS_NAME = "rollouts.json"
NOUN = "run of rollouts"

logger = logging.getLogger("stepnav")


@dataclass(frozen=True, slots=True)
class LabellingOptions:
    """How a problem's solutions are drawn and labelled."""

    solutions: Annotated[int, typer.Option(min=1, help="Solutions drawn and labelled of each.")] = 4
    samples: Annotated[int, typer.Option(min=1, help="Completions of each prefix.")] = 8
    method: Annotated[
        str,
        typer.Option(help="each (prefix is completed) or bisection (for the first wrong step)."),
    ] = "each"
    estimate: Annotated[
        str,
        typer.Option(
            help="hard (a right solution goes on from there), soft (the share that does), or "
            "outcome (the share of right solutions through it; none is completed)."
        ),
    ] = "hard"
    keep_unsolved: Annotated[
        bool,
        typer.Option(
            "--keep-unsolved",
            help="Label the solutions of problems that the policy never solves, too.",
        ),
    ] = False
    temperature: Annotated[float, typer.Option(min=0.0, help="Of all sampling.")] = 1.0
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, help="Most tokens of a solution or completion. [default: the policy's own limit]"
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the program.

        Raises:
          ConfigError: a word is unknown, or they contradict each other.
        """
        chosen = choose("--method", self.method, METHODS)
        kind = choose("--estimate", self.estimate, LABELS)
        if chosen == "bisection" and kind != "hard":
            raise ConfigError(
                "a binary search finds the first wrong step only; use --estimate hard"
            )
        return {
            "solutions": self.solutions,
            "samples": self.samples,
            "method": chosen,
            "labels": kind,
            "keep_unsolved": self.keep_unsolved,
            "temperature": self.temperature,
            **({} if self.max_tokens is None else {"max_tokens": self.max_tokens}),
        }


def run(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the journal and the data.")],
    task: TaskName = "arithmetic",
    split: Annotated[
        str | None, typer.Option(help="Its split; one that is not train must be named.")
    ] = None,
    task_options: TaskOptions,
    exclude_problems: ExcludeProblems = None,
    problems: NumProblems = None,
    labelling: LabellingOptions,
    from_run: FromRun = None,
    seed: Seed = 0,
    resume: Resume = False,
    active: Annotated[int, typer.Option(min=1, help="Problems worked on at once.")] = 64,
    ray_options: RayOptions,
    workers: Workers = 1,
    model_options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Label the steps of a policy's own solutions by completing them from each prefix.

    A step is good if the policy can still reach the right answer from behind it. Killed and started
    again with --resume, nothing that was answered is asked again; what failed is tried again.

    With --from-run the problems and the steps are those of a bench: a reward model then learns what
    searches ask of it, and what they draw late.

    Examples:

      stepnav data rollouts --out runs/rollouts --problems 50 --samples 8

      stepnav data rollouts --task gsm8k --data train.jsonl --policy ./my-model --out runs/gsm8k

      stepnav bench --split train --seed 7 --problems 50 --out runs/drawn

      stepnav data rollouts --from-run runs/drawn --out runs/searched
    """
    options = labelling.settings()
    benchmark = task_options.load(task, sandbox=model_options.sandbox)
    used = Chosen.of(model_options, benchmark, active=active)
    benchmark = used.task
    split, drawn, paths = choose_problems(
        task, benchmark, split, problems, seed, task_options.data, from_run, exclude_problems
    )
    settings = {
        **_problem_settings(task, split, task_options.data, drawn, paths), **options,
        **_policy_settings(used, seed), **used.server.result_settings(),
    }  # fmt: skip
    check_claim(out / SETTINGS_NAME, settings, noun=NOUN, resume=resume)
    cluster = ray_options.cluster(workers, model_options)
    models: AbstractContextManager[object] = nullcontext()
    if cluster is None:
        opened = models = used.open(active)
        mine = _searches(benchmark, drawn, options, seed, paths)
        run_left = partial(_run_here, mine, opened, active)
    else:
        given = (task_options, model_options, settings, options, drawn, paths, active)
        there, ids = partial(_open_there, *given), [problem.id for problem in drawn]
        run_left = partial(spread_searches, cluster, there, ids=ids, active=active)
    # not before the models are there: a slip in their name would bind the folder to it
    claim_folder(out / SETTINGS_NAME, settings, noun=NOUN, resume=resume)
    with locked(out), models:
        results, seconds = _run(out, settings, len(drawn), run_left)
        report(out, results, options["labels"], seconds, as_json)


def is_right(task: Task, solution: Trajectory) -> bool | None:
    """Return whether a solution is finished and its answer right; None if that cannot be told."""
    if not solution.is_finished:
        return False
    # a fault fails the problem, which --resume tries again; as a wrong answer it would be a label
    return strict(task.grade)(solution.problem, task.extract(solution.text))


def _problem_settings(
    task: str, split: str, data: Path | None, problems: Sequence[Problem], paths: Paths
) -> dict[str, Any]:
    """Return what of the problems the labels depend on."""
    return {
        "task": task,
        "split": split,
        "problems": problems_digest(problems),
        "data": None if data is None else str(data),
        **({"paths": paths_digest(paths)} if paths else {}),
    }


def _policy_settings(used: Chosen, seed: int) -> dict[str, Any]:
    """Return what of the policy the labels depend on."""
    weights, options = build.policy_folder(used.policy), used.options
    return {
        "policy": used.policy,
        "policy_digest": None if weights is None else folder_digest(weights),
        "policy_model": options.policy_model,
        "seed": seed,
        "dtype": options.dtype,
        "shots": used.num_shots,
        "chat": options.chat,
    }


def _searches(
    task: Task, problems: Sequence[Problem], options: dict[str, Any], seed: int, paths: Paths
) -> Iterator[Search]:
    for problem in problems:
        function = partial(
            _label_or_leave_out, is_right=partial(is_right, task), paths=paths.get(problem.id)
        )
        strategy = Strategy("rollouts", options, function=function)
        yield Search(problem.id, strategy, problem, task.extract, seed=seed)


def _label_or_leave_out(tree: Tree, **how: Any) -> Program:
    """Label a problem's solutions; one that can never be graded has none, and is not tried again.

    Args:
      tree, how: of `label_problem`.
    """
    try:
        return (yield from label_problem(tree, **how))
    except GradeFault as fault:
        if not fault.is_of_problem:
            raise
        logger.warning("%s; it is left out", fault)
        return Outcome(None, "finished", counts={"ungradable": 1})


def _run_here(
    searches: Iterator[Search], models: build.Models, active: int, journal: Journal
) -> Iterator[object]:
    """Run what the journal does not hold in this process."""
    tell_notes(models.notes)
    return Driver(models.by_name, journal=journal, max_active=active).run(searches)


@contextmanager
def _open_there(
    task_options: TaskOptions,
    model_options: ModelOptions,
    settings: dict[str, Any],
    options: dict[str, Any],
    problems: list[Problem],
    paths: Paths,
    active: int,
) -> Iterator[SearchWork]:
    """Open the policy in a worker of a cluster; its work labels some of the problems."""
    task = task_options.load(settings["task"], sandbox=model_options.sandbox)
    used = Chosen.of(model_options, task, active=active)
    searches = _searches(used.task, problems, options, settings["seed"], paths)
    by_id = {search.id: search for search in searches}
    with used.open(active) as models:

        def work(feed: Iterator[Begun | None], journal: Journal) -> Iterator[Told]:
            begun = (
                found and replace(by_id[found.search_id], answered=found.answered) for found in feed
            )
            driver = Driver(models.by_name, journal=journal, max_active=active)
            return (Told(result.search_id) for result in driver.run(begun))

        yield work


def _run(
    out: Path,
    settings: dict[str, Any],
    num_problems: int,
    run_left: Callable[[Journal], Iterator[object]],
) -> tuple[list[SearchResult], float]:
    """Return the results of all problems, and the seconds that all attempts took."""
    with closing(Journal(out / JOURNAL_NAME, json.dumps(settings))) as journal:
        take_left(journal)
        first = len(journal.finished_ids())

        def done() -> str:
            labelled = len(journal.finished_ids())
            return f"{labelled} of {num_problems} problems are labelled and kept"

        with resumable(done), Progress("rollouts", num_problems, "problems", first=first) as bar:
            began = time.monotonic()
            try:
                for _ in run_left(journal):
                    bar.advance()
            finally:
                if first < num_problems:
                    journal.add_span(NOUN, time.monotonic() - began)
        return list(journal.results()), journal.spans().get(NOUN, 0.0)
