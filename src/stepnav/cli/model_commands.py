"""Declares the subcommands that make and check models; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.options import AsJson, Device, Seed, arguments

zoo_app = typer.Typer(
    help="The models that ship with the package.", no_args_is_help=True, rich_markup_mode=None
)


@zoo_app.command("train")
def zoo_train(
    out: Annotated[Path, typer.Option(help="Folder for the models and all in between.")],
    task: Annotated[str, typer.Option(help="Whose models.")] = "arithmetic",
    scale: Annotated[
        str, typer.Option(help="cpu (the shipped models, hours on two cores) or tiny (a trial).")
    ] = "cpu",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what the folder holds.")
    ] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Make the shipped models again: tokenizer, policy, labels, reward model, evaluation, cards.

    Example:

      stepnav zoo train --out runs/zoo --resume
    """
    from stepnav.cli import zoo as command

    command.run(**arguments(locals()))
