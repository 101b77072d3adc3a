"""Declares the subcommands that check reward models; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.options import AsJson, Device, Dtype, arguments

Kind = Annotated[
    str | None,
    typer.Option(help="processbench, prm800k or best-of-n. [default: told by the file's fields]"),
]
Labels = Annotated[
    str | None,
    typer.Option(help="What step labels are: rating, correct or value. [default: told by them]"),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the file's first so many problems.")]
MaxBatch = Annotated[int, typer.Option(min=1, help="Most solutions in one pass.")]
SplitSeed = Annotated[int, typer.Option(min=0, help="Chooses the problems of the two parts.")]


def eval_prm(
    data: Annotated[Path, typer.Option(help="Solutions whose truth is known; see below.")],
    out: Annotated[Path, typer.Option(help="Folder for scores and report.")],
    reward: Annotated[
        str | None,
        typer.Option(
            help="Who scores: a shipped model, a model folder, a hub name, FAMILY:FOLDER, or "
            "likelihood:FOLDER. [default: the file's own scores (best-of-n)]"
        ),
    ] = None,
    kind: Kind = None,
    labels: Labels = None,
    threshold: Annotated[
        float | None, typer.Option(help="processbench: use this one, report on all.")
    ] = None,
    dev_share: Annotated[
        float | None,
        typer.Option(help="processbench: share of problems to choose it on. [default: 0.25]"),
    ] = None,
    limit: Limit = None,
    seed: SplitSeed = 0,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    max_batch: MaxBatch = 64,
    as_json: AsJson = False,
) -> None:
    """Measure a reward model, with intervals over problems.

    What the file may hold, one JSON object a line: ProcessBench (problem, steps, label: the first wrong
    step), step labels (raw PRM800K, or prompt, completions, labels), or solutions to choose from
    (problem_id, problem, steps or text, is_correct, and optionally answer and scores). Killed and
    started again, it goes on where it was; a folder of another model or file is refused.

    Examples:

      stepnav eval-prm --reward ./my-prm --data processbench/gsm8k.jsonl.gz --out runs/processbench

      stepnav eval-prm --reward ./my-prm --data phase1_test.jsonl.gz --out runs/phase1

      stepnav eval-prm --data scored.jsonl --out runs/best-of-n
    """
    from stepnav.cli import eval_prm as command

    command.run(**arguments(locals()))


def calibrate(
    reward: Annotated[
        str,
        typer.Option(
            help="A folder or hub name of a prm or math-shepherd model (docs/reward-models.md), or "
            "FAMILY:FOLDER; the other families keep no temperature."
        ),
    ],
    data: Annotated[
        Path, typer.Option(help="Held-out step labels: any file of eval-prm that has them.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Copy the model there. [default: change it in place]")
    ] = None,
    kind: Kind = None,
    labels: Labels = None,
    fit_share: Annotated[
        float, typer.Option(help="Share of the problems to fit on; the rest checks.")
    ] = 0.5,
    limit: Limit = None,
    seed: SplitSeed = 0,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    max_batch: MaxBatch = 64,
    as_json: AsJson = False,
) -> None:
    """Fit the temperature that makes a reward model's probabilities honest, and store it with it.

    Searches and evaluations use it from then on. Ratings stay as they are, scores move. Do not fit on
    what you report on.

    Example:

      stepnav calibrate --reward ./my-prm --data dev.jsonl --out ./my-prm-calibrated
    """
    from stepnav.cli import calibrate as command

    command.run(**arguments(locals()))
