"""`stepnav train prm`: a process reward model."""

from __future__ import annotations

from typing import Annotated

import typer

from stepnav.cli.options.shared import AsJson, LabelOptions
from stepnav.cli.train.training import (
    TrainFiles,
    TrainOptions,
    TreeOptions,
    require_libraries,
    train_reward_model,
)
from stepnav.core.errors import ConfigError, choose

HEADS = ("three", "two", "value")
NEUTRALS = ("own", "positive", "negative", "masked")


def run(
    *,
    files: TrainFiles,
    head: Annotated[str, typer.Option(help="three (classes), two, or value (soft labels).")] = (
        "three"
    ),
    neutral: Annotated[
        str | None,
        typer.Option(
            help="Neutral labels: own (class), positive, negative or masked. [default: own; of two "
            "classes: positive]"
        ),
    ] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="Weights of the losses by class, comma-separated.")
    ] = None,
    tree_options: TreeOptions,
    label_options: LabelOptions,
    train_options: TrainOptions,
    as_json: AsJson = False,
) -> None:
    """Train a process reward model on labelled steps.

    Data: PRM800K, Math-Shepherd, TRL's stepwise form, or what `stepnav data` makes. Solutions that
    begin alike share those tokens (--no-pack: each is read whole).

    Examples:

      stepnav train prm --model ./math-sft --data phase1_train.jsonl.gz --out ./prm

      stepnav train prm --model ./base --data rollouts.jsonl --head value --out ./prm
    """
    require_libraries()
    head = choose("--head", head, HEADS)
    weights = None if class_weights is None else _numbers("--class-weights", class_weights)
    train_reward_model(
        files,
        tree_options,
        label_options,
        train_options,
        as_json,
        head=head,
        neutral=neutral and choose("--neutral", neutral, NEUTRALS),
        class_weights=weights,
    )


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(item) for item in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option} must be numbers with commas between (got {text!r})") from None
