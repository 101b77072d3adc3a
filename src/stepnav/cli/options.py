"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Task = Annotated[
    str,
    typer.Option(
        help="Benchmark: arithmetic, gsm8k, svamp, math500, micro-python, humaneval or mbpp."
    ),
]
Split = Annotated[str | None, typer.Option(help="Its split. [default: the task's own]")]
Data = Annotated[
    Path | None, typer.Option(help="Benchmark file or folder. [default: the hub, by name]")
]
Policy = Annotated[
    str | None,
    typer.Option(
        help="Who proposes: a shipped model (arithmetic, micro-python), a model folder, or a "
        "server's URL. [default: the task's own]"
    ),
]
PolicyModel = Annotated[str | None, typer.Option(help="Name of the model on that server.")]
Reward = Annotated[
    str | None,
    typer.Option(
        help="Who scores: a shipped model (arithmetic, micro-python), the folder or hub name of a reward "
        "model (docs/reward-models.md), FAMILY:FOLDER, likelihood:FOLDER, oracle, or execution (code: "
        "the public tests). [default: the task's own]"
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same tree.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON; solve and show: one line per search.")
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Dtype = Annotated[
    str, typer.Option(help="float32 (same tree in any batch), bfloat16 or float16 (may overflow).")
]
Sandbox = Annotated[
    str,
    typer.Option(help="How programs are run: process, namespace, docker, or unsafe (not at all)."),
]
Chat = Annotated[bool, typer.Option("--chat", help="Prompt with the model's chat template.")]


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Return a subcommand's arguments from its `locals()`."""
    return {name: value for name, value in values.items() if name != "command"}
