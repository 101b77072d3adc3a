"""`stepnav zoo train`: the shipped models made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnav import build
from stepnav.cli.console import Interrupted, Progress, print_json, resume_command, stdout
from stepnav.cli.options import AsJson, Device, Resume, Seed
from stepnav.core.errors import ConfigError


def run(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the models and all in between.")],
    task: Annotated[str, typer.Option(help="Whose models.")] = "arithmetic",
    scale: Annotated[
        str, typer.Option(help="cpu (the shipped models, hours on two cores) or tiny (a trial).")
    ] = "cpu",
    resume: Resume = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Make the shipped models again: tokenizer, policy, labels, reward model, evaluation, cards.

    Example:

      stepnav zoo train --out runs/zoo --resume
    """
    try:
        import torch  # noqa: F401

        from stepnav.zoo.recipe import make_models
    except ImportError as error:
        raise ConfigError(f"training needs {error.name}: pip install 'stepnav[train]'") from None
    build.check_device(device)
    stages = _Stages()
    try:
        evaluation = make_models(
            out,
            task=task,
            scale=scale,
            resume=resume,
            seed=seed,
            device=device,
            progress=stages.show,
        )
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: checkpoints are kept in {out}; go on with: {resume_command()}"
        ) from None
    finally:
        stages.close()
    if as_json:
        print_json(evaluation)
    else:
        stdout().print(f"Saved to {out}; the model cards tell what they can do.")


class _Stages:
    """A progress bar for each stage of the recipe."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Progress | None = None

    def show(self, stage: str, done: int, total: int, value: float | None) -> None:
        """Show how far a stage is; `value` is its loss or share, if it has one."""
        if stage != self._stage or self._bar is None:
            self.close()
            self._stage = stage
            self._bar = Progress(stage, total, "items", first=done).__enter__()
        self._bar.reach(done, "" if value is None else f"({value:.3g})")

    def close(self) -> None:
        """End the bar of the current stage."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
