"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

_TASK_HELP = "Benchmark: arithmetic, plain, gsm8k, svamp, math500, micro-python, humaneval or mbpp."
Task = Annotated[str, typer.Option(help=_TASK_HELP)]
TypedTask = Annotated[
    str | None,
    typer.Option(help=f"{_TASK_HELP} [default: plain for a problem's text, else arithmetic]"),
]
Split = Annotated[str | None, typer.Option(help="Its split. [default: the task's own]")]
Data = Annotated[
    Path | None, typer.Option(help="Benchmark file or folder. [default: the hub, by name]")
]
Policy = Annotated[
    str | None,
    typer.Option(
        help="Who proposes: a shipped model (arithmetic, plain, micro-python), a model folder, or a "
        "server's URL. [default: the task's own]"
    ),
]
PolicyModel = Annotated[str | None, typer.Option(help="Name of the model on that server.")]
Reward = Annotated[
    str | None,
    typer.Option(
        help="Who scores: a shipped model (arithmetic, plain, micro-python), the folder or hub name of a reward "
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

LabelFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="prm800k, math-shepherd, stepwise (TRL's) or mutation. [default: told by the rows]",
    ),
]
LabelKinds = Annotated[
    str | None,
    typer.Option(
        help="What stepwise labels are: rating (-1, 0, 1), correct (right or wrong) or value (in [0, 1]). "
        "[default: told by the labels]"
    ),
]
ExcludeProblems = Annotated[
    Path | None,
    typer.Option(
        help="Leave out the problems in this file: rows of a benchmark or of labelled data, or lines."
    ),
]
LeaveOut = Annotated[
    str | None,
    typer.Option(
        help="Of PRM800K, comma-separated: quality_control, screening, bad_problem, give_up (sessions), "
        "flagged (alternatives). [default: nothing]"
    ),
]


def label_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Take the four options above out of a subcommand's; return them as the label reader's arguments."""
    parts = (part.strip() for part in (options.pop("leave_out") or "").split(","))
    return {
        "format": options.pop("form"),
        "kind": options.pop("labels"),
        "exclude": options.pop("exclude_problems"),
        "leave_out": tuple(part for part in parts if part),
    }


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Return a subcommand's arguments from its `locals()`."""
    return {name: value for name, value in values.items() if name != "command"}
