"""`stepnav data inspect`: what a file of step labels holds."""

from __future__ import annotations

from collections.abc import Mapping

from stepnav.cli.console import print_json, say, tell
from stepnav.cli.options.shared import AsJson, LabelFile, LabelOptions
from stepnav.labels.reader import inspect_labelled
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


def run(
    *,
    file: LabelFile,
    label_options: LabelOptions,
    as_json: AsJson = False,
) -> None:
    """Tell what a file of step labels holds, and what a training would leave out of it and why.

    Examples:

      stepnav data inspect phase1_train.jsonl.gz

      stepnav data inspect phase1_train.jsonl.gz --exclude-problems math500.jsonl.gz --json
    """
    report = inspect_labelled(file, **label_options.for_reader()).report
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def _print(report: LabelReport) -> None:
    def row(name: str, text: str) -> None:
        say(f"{name:<13}{text}")

    row("file", report.file)
    row("format", report.format)
    row("labels are", f"{KINDS[report.kind]} ({report.kind_rule})")
    row(
        "sessions",
        f"{report.sessions:,} of {report.problems:,} problems; {report.solutions:,} are whole "
        "solutions",
    )
    for whole, (count, parts) in report.sums.items():
        row(whole, f"{count:,} = {_sum(parts)}")
    for name, length in report.lengths.items():
        row(
            "length",
            f"{LENGTHS[name]}: {length.min:,} to {length.max:,}, median {length.median:,}, mean "
            f"{length.mean:,}",
        )
    if report.exclude_listed is not None:
        row(
            "to exclude",
            f"{report.exclude_found:,} of {report.exclude_listed:,} listed problems found",
        )
    shown = {name for _, parts in report.sums.values() for name in parts} | set(report.sums)
    rest = [f"{name} {n:,}" for name, n in report.details.items() if name not in shown]
    if rest:
        row("also", ", ".join(rest))
    tell_notes(report)


def _sum(parts: Mapping[str, int]) -> str:
    """Return the parts that are not nothing."""
    shown = [f"{name} {count:,}" for name, count in parts.items() if count]
    return " + ".join(shown) or "0"


def tell_notes(report: LabelReport) -> None:
    """Print what the user should know of a file."""
    for note in report.notes:
        tell(note)
