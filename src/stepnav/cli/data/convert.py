"""`stepnav data convert`: a file of step labels in TRL's stepwise form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.console import print_json, say, tell
from stepnav.cli.data.inspect_labels import KINDS, tell_notes
from stepnav.cli.options.shared import AsJson, LabelFile, LabelOptions, check_written
from stepnav.core.errors import ConfigError
from stepnav.files.atomic import STDOUT
from stepnav.labels.output import SUFFIXES, write_stepwise
from stepnav.labels.reader import read_labelled


def run(
    *,
    file: LabelFile,
    out: Annotated[
        Path,
        typer.Option(help="File in .jsonl, .jsonl.gz or .parquet; replaced. - is standard output."),
    ],
    label_options: LabelOptions,
    as_json: AsJson = False,
) -> None:
    """Write a file of step labels in TRL's stepwise form: prompt, completions, labels, and origin.

    Ratings become -1, 0, 1, right and wrong true and false, values numbers in [0, 1], masked steps
    null.

    Example:

      stepnav data convert phase1_train.jsonl.gz --out phase1_train.parquet
    """
    if out != STDOUT and not out.name.endswith(SUFFIXES):
        raise ConfigError(f"--out must end in {', '.join(SUFFIXES)} (got {out.name!r})")
    check_written("--out", out, as_json, file, label_options.exclude_problems)
    data = read_labelled(file, **label_options.for_reader())
    write_stepwise(out, data)
    report = data.report
    if as_json:
        print_json({"out": str(out), **report.to_json()})
        return
    show = tell if out == STDOUT else say
    show(
        f"{report.records:,} records with {report.ratings:,} labelled steps ({KINDS[report.kind]}) "
        f"of {report.sessions:,} sessions.\nSaved to "
        f"{'standard output' if out == STDOUT else out}."
    )
    tell_notes(report)
