"""`stepnav data inspect` and `stepnav data convert`: what a file of step labels holds, and the same in one form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.cli.console import print_json, stderr, stdout
from stepnav.cli.options import label_arguments
from stepnav.core.errors import ConfigError
from stepnav.files.atomic import STDOUT, check_output
from stepnav.labels.output import SUFFIXES, write_stepwise
from stepnav.labels.reader import inspect_labelled, read_labelled
from stepnav.labels.report import LabelReport

KINDS = {
    "rating": "ratings -1, 0, 1",
    "correct": "right (1) or wrong (-1)",
    "value": "values in [0, 1]",
}

LENGTHS = {
    "steps": "steps of a session",
    "step_characters": "characters of a labelled step",
    "record_characters": "characters of a record, problem included",
}


def inspect(*, file: Path, as_json: bool, **options: Any) -> None:
    """Tell what a file holds; arguments as in `stepnav data inspect --help`."""
    report = inspect_labelled(file, **label_arguments(options)).report
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def convert(*, file: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Write a file in stepwise form; arguments as in `stepnav data convert --help`."""
    if out != STDOUT and not out.name.endswith(SUFFIXES):
        raise ConfigError(f"--out must end in {', '.join(SUFFIXES)} (got {out.name!r})")
    check_output(out, file, options.get("exclude_problems"))
    if out == STDOUT and as_json:
        raise ConfigError(
            "--out - and --json would both fill standard output; leave one of them out"
        )
    data = read_labelled(file, **label_arguments(options))
    write_stepwise(out, data)
    report = data.report
    if as_json:
        print_json({"out": str(out), **report.to_json()})
        return
    console = stderr() if out == STDOUT else stdout()
    console.print(
        f"{report.records:,} records with {report.ratings:,} labelled steps ({KINDS[report.kind]}) "
        f"of {report.sessions:,} sessions.\nSaved to {'standard output' if out == STDOUT else out}.",
        soft_wrap=True,
    )
    _tell_notes(report)


def _print(report: LabelReport) -> None:
    console = stdout()

    def say(name: str, text: str) -> None:
        console.print(f"{name:<13}{text}", soft_wrap=True)

    say("file", report.file)
    say("format", report.format)
    say("labels are", f"{KINDS[report.kind]} ({report.kind_rule})")
    say(
        "sessions",
        f"{report.sessions:,} of {report.problems:,} problems; {report.solutions:,} are whole solutions",
    )
    for whole, (count, parts) in report.sums.items():
        say(whole, f"{count:,} = {_sum(parts)}")
    for name, length in report.lengths.items():
        say(
            "length",
            f"{LENGTHS[name]}: {length.min:,} to {length.max:,}, median {length.median:,}, mean {length.mean:,}",
        )
    if report.exclude_listed is not None:
        say(
            "to exclude",
            f"{report.exclude_found:,} of {report.exclude_listed:,} listed problems found",
        )
    shown = {name for _, parts in report.sums.values() for name in parts} | set(report.sums)
    rest = [f"{name} {n:,}" for name, n in report.details.items() if name not in shown]
    if rest:
        say("also", ", ".join(rest))
    _tell_notes(report)


def _sum(parts: Mapping[str, int]) -> str:
    """Return the parts that are not nothing."""
    shown = [f"{name} {count:,}" for name, count in parts.items() if count]
    return " + ".join(shown) or "0"


def _tell_notes(report: LabelReport) -> None:
    for note in report.notes:
        stderr().print(note, soft_wrap=True)
