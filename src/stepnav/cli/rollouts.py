"""`stepnav data rollouts`: step labels by completing prefixes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.bench.plan_file import problems_digest
from stepnav.cli.console import Interrupted, Progress, print_json, resume_command, stderr, stdout
from stepnav.core.budget import Usage
from stepnav.core.errors import ConfigError, DataError, choose
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem, Trajectory
from stepnav.core.requests import Program
from stepnav.core.tree import Tree
from stepnav.files.claim import check_claim, claim_folder
from stepnav.files.lock import locked
from stepnav.run.driver import Driver, Search
from stepnav.run.journal import Journal
from stepnav.tasks.task import Task
from stepnav.train.records import write_records
from stepnav.train.rollouts import METHODS, Labels, rollout_record

JOURNAL_NAME = "journal.sqlite"
DATA_NAME = "rollouts.jsonl"
SETTINGS_NAME = "rollouts.json"
NOUN = "run of rollouts"
LABEL_NAMES: tuple[Labels, ...] = ("hard", "soft")


def run(
    *,
    out: Path,
    task: str,
    split: str | None,
    data: Path | None,
    problems: int,
    solutions: int,
    samples: int,
    method: str,
    labels: str,
    temperature: float,
    policy: str | None,
    policy_model: str | None,
    seed: int,
    resume: bool,
    active: int,
    device: str,
    dtype: str,
    chat: bool,
    sandbox: str,
    as_json: bool,
) -> None:
    """Draw, complete and label; arguments as in `stepnav data rollouts --help`."""
    chosen = choose("--method", method, tuple(METHODS))
    kind = choose("--labels", labels, LABEL_NAMES)
    if chosen == "bisection" and kind == "soft":
        raise ConfigError("a binary search finds the first wrong step only; use --labels hard")
    benchmark = build.load_task(task, sandbox=sandbox)
    policy = policy or build.choose_models(benchmark, [], None, None)[0]
    split = split or ("train" if "train" in benchmark.splits else benchmark.default_split)
    drawn = benchmark.load(split, problems, seed, data)
    settings = {
        "task": task, "split": split, "problems": problems_digest(drawn),
        "data": None if data is None else str(data), "solutions": solutions, "samples": samples,
        "method": chosen, "temperature": temperature, "policy": policy, "policy_model": policy_model,
        "seed": seed, "dtype": dtype, "chat": chat,
    }  # fmt: skip
    check_claim(out / SETTINGS_NAME, settings, noun=NOUN, resume=resume)
    models = build.open_models(
        policy=policy, policy_model=policy_model, reward=None, task=benchmark, device=device,
        dtype=dtype, chat=chat, max_batch=active,
    )  # fmt: skip
    # not before the models are there: a slip in their name would bind the folder to it
    claim_folder(out / SETTINGS_NAME, settings, noun=NOUN, resume=resume)
    with locked(out), models:
        start = partial(
            METHODS[chosen],
            is_right=partial(is_right, benchmark),
            samples=samples,
            temperature=temperature,
        )
        for note in models.notes:
            stderr().print(f"note: {note}", soft_wrap=True)
        results = _run(
            out, settings, list(_searches(benchmark, drawn, settings, start)), models, active
        )
    _write(out, results, kind, as_json)


def is_right(task: Task, solution: Trajectory) -> bool:
    """Return whether a solution is finished and its answer right."""
    if not solution.is_finished:
        return False
    return task.grade(solution.problem, task.extract(solution.text)) is True


def _searches(
    task: Task,
    problems: Sequence[Problem],
    settings: dict[str, Any],
    start: Callable[[Tree], Program],
) -> Iterator[Search]:
    for problem in problems:
        for number in range(settings["solutions"]):
            yield Search(
                id=f"{problem.id}/{number}",
                strategy=f"rollouts-{settings['method']}",
                options={name: settings[name] for name in ("method", "samples", "temperature")},
                problem=problem,
                start=start,
                extract=task.extract,
                seed=settings["seed"] + number,
            )


def _run(
    out: Path,
    settings: dict[str, Any],
    searches: list[Search],
    models: build.Models,
    active: int,
) -> list[SearchResult]:
    journal = Journal(out / JOURNAL_NAME, json.dumps(settings))
    done = len(journal.finished_ids())
    try:
        with Progress("rollouts", len(searches), "solutions", first=done) as progress:
            driver = Driver(models.policy, journal=journal, max_active=active)
            for _ in driver.run(searches):
                progress.advance()
        return list(journal.results())
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: {len(journal.finished_ids())} of {len(searches)} solutions are labelled and "
            f"kept; go on with: {resume_command()}"
        ) from None
    finally:
        journal.close()


def _write(out: Path, results: list[SearchResult], kind: Labels, as_json: bool) -> None:
    records = [rollout_record(result, labels=kind) for result in results]
    kept = [record for record in records if record is not None]
    if not kept:
        raise DataError(f"none of the {len(results)} solutions could be labelled; see {out}")
    write_records(out / DATA_NAME, kept)
    usage = sum((result.usage for result in results), Usage())
    counts = Counter(
        "masked" if label is None else str(label) if kind == "hard" else "value"
        for record in kept
        for label in record.labels
    )
    report = {
        "out": str(out / DATA_NAME),
        "solutions": len(results),
        "records": len(kept),
        "left_out": len(results) - len(kept),
        "failed": sum(result.outcome.stop_reason == "failed" for result in results),
        "labels": dict(sorted(counts.items())),
        "policy_tokens": usage.policy_tokens,
        "policy_calls": usage.policy_calls,
        "flops": usage.flops,
    }
    if as_json:
        print_json(report)
        return
    stdout().print(
        f"{report['records']} solutions labelled ({report['left_out']} left out: cut or failed); steps: "
        + ", ".join(f"{name} {count}" for name, count in report["labels"].items())  # type: ignore[attr-defined]
        + f"; {usage.policy_tokens} policy tokens in {usage.policy_calls} calls\nSaved to {out / DATA_NAME}.",
        soft_wrap=True,
    )
