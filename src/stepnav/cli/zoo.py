"""`stepnav zoo train`: the shipped models made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnav import build
from stepnav.cli.console import Stages, interruptible, print_json, say
from stepnav.cli.options.shared import AsJson, Device, Resume, Seed
from stepnav.core.extras import importing


def run(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the models and all in between.")],
    task: Annotated[str, typer.Option(help="Whose models.")] = "arithmetic",
    scale: Annotated[
        str, typer.Option(help="cpu (the shipped models, hours on two cores) or tiny (a trial).")
    ] = "cpu",
    reward_only: Annotated[
        bool, typer.Option("--reward-only", help="Keep the shipped policy; remake its rater only.")
    ] = False,
    split: Annotated[
        str, typer.Option(help="Measure on dev (while choosing) or test (at the end).")
    ] = "test",
    resume: Resume = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Make the shipped models again: tokenizer, policy, labels, reward model, evaluation, cards.

    Example:

      stepnav zoo train --out runs/zoo --resume
    """
    with importing("training", "what training needs", "train"):
        import torch  # noqa: F401

        from stepnav.zoo.recipe import make_models
    build.check_device(device)
    with interruptible(lambda: _kept(out)), Stages("items") as stages:

        def show(stage: str, done: int, total: int, value: float | None) -> None:
            stages.reach(stage, done, total, "" if value is None else f"({value:.3g})")

        evaluation = make_models(
            out,
            task=task,
            scale=scale,
            reward_only=reward_only,
            split=split,
            resume=resume,
            seed=seed,
            device=device,
            progress=show,
        )
    if as_json:
        print_json(evaluation)
    else:
        say(f"Saved to {out}; the model cards tell what they can do.")


def _kept(out: Path) -> str:
    """Return what there is of a recipe that was stopped."""
    from stepnav.zoo.training.loop import CHECKPOINT_NAME

    saved = max(
        out.glob(f"work/*/{CHECKPOINT_NAME}"), key=lambda p: p.stat().st_mtime, default=None
    )
    last = "no checkpoint of a training yet" if saved is None else f"the checkpoint {saved}"
    return f"the stages that are done are kept in {out}, and {last}"
