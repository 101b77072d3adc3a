"""`stepnav merge`: one run of its shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli import report
from stepnav.cli.options.shared import AsJson
from stepnav.measure.extras import check_installed
from stepnav.measure.merging import merge_runs


def run(
    *,
    runs: Annotated[list[Path], typer.Argument(help="Run folders of all shards.")],
    out: Annotated[Path, typer.Option(help="Run folder to make.")],
    as_json: AsJson = False,
) -> None:
    """Make one run of its shards, and its report.

    The run folders must be of one plan and hold each of its searches once: those of bench --shard,
    or any others. What comes out is what one run would have given; its seconds are their sum.

    Example:

      stepnav merge runs/part-1 runs/part-2 --out runs/whole
    """
    check_installed()
    merge_runs(runs, out)
    report.run(run=out, as_json=as_json)
