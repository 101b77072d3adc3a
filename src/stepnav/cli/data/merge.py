"""`stepnav data merge`: one data set of the shards of a campaign."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.data.mutate import tell_made
from stepnav.cli.options.shared import AsJson
from stepnav.mutate.campaign import find_journals, merge


def run(
    *,
    places: Annotated[list[Path], typer.Argument(help="Folders or journals of all shards.")],
    out: Annotated[Path, typer.Option(help="Folder for the data.")],
    as_json: AsJson = False,
) -> None:
    """Make one data set of the shards of a campaign.

    Example:

      stepnav data merge shards/ --out mutants
    """
    began = time.monotonic()
    reports, files = merge(find_journals(places), out)
    tell_made(out, reports, None, files, time.monotonic() - began, as_json)
