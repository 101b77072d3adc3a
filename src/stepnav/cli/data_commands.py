"""Declares `stepnav data ...`; each subcommand imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.options import (
    ApiKeyEnv,
    AsJson,
    Chat,
    Concurrency,
    Data,
    Device,
    Dtype,
    ExcludeProblems,
    ExtraBody,
    LabelFormat,
    LabelKinds,
    LeaveOut,
    MaxSolutionTokens,
    MaxStepTokens,
    Policy,
    PolicyModel,
    Retries,
    Sandbox,
    Seed,
    Shots,
    Task,
    Timeout,
    arguments,
    with_server,
)

data_app = typer.Typer(
    help="Step-labelled training data.", no_args_is_help=True, rich_markup_mode=None
)

LabelFile = Annotated[
    Path, typer.Argument(help="JSON lines, a JSON list or Parquet; may be gzipped.")
]


@data_app.command("inspect")
def data_inspect(
    file: LabelFile,
    form: LabelFormat = None,
    labels: LabelKinds = None,
    exclude_problems: ExcludeProblems = None,
    leave_out: LeaveOut = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a file of step labels holds, and what a training would leave out of it and why.

    Examples:

      stepnav data inspect phase1_train.jsonl.gz

      stepnav data inspect phase1_train.jsonl.gz --exclude-problems math500.jsonl.gz --json
    """
    from stepnav.cli import labels as command

    command.inspect(**arguments(locals()))


@data_app.command("convert")
def data_convert(
    file: LabelFile,
    out: Annotated[
        Path,
        typer.Option(help="File in .jsonl, .jsonl.gz or .parquet; replaced. - is standard output."),
    ],
    form: LabelFormat = None,
    labels: LabelKinds = None,
    exclude_problems: ExcludeProblems = None,
    leave_out: LeaveOut = None,
    as_json: AsJson = False,
) -> None:
    """Write a file of step labels in TRL's stepwise form: prompt, completions, labels, and origin.

    Ratings become -1, 0, 1, right and wrong true and false, values numbers in [0, 1], masked steps null.

    Example:

      stepnav data convert phase1_train.jsonl.gz --out phase1_train.parquet
    """
    from stepnav.cli import labels as command

    command.convert(**arguments(locals()))


@data_app.command("mutate")
def data_mutate(
    out: Annotated[Path, typer.Option(help="Folder for the journal and the data.")],
    task: Annotated[
        str | None, typer.Option(help="mbpp (ids 511-974); or give --program and --tests.")
    ] = None,
    data: Data = None,
    ids: Annotated[
        str | None, typer.Option(help="Only these task ids, for instance 601-620,700.")
    ] = None,
    program: Annotated[
        list[Path] | None, typer.Option(help="Your own program; may be repeated.")
    ] = None,
    tests: Annotated[
        list[Path] | None,
        typer.Option(
            help="Its tests: asserts, pytest, unittest or check(candidate); one per program."
        ),
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this function of it; may be repeated. [default: all that have tests]"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    shard: Annotated[str, typer.Option(help="i/n: only the i-th of n parts; merge them later.")] = (
        "1/1"
    ),
    seed: Seed = 0,
    decoys: Annotated[
        int, typer.Option(min=0, help="Rewrites that keep the meaning, per program.")
    ] = 0,
    second_order: Annotated[
        int, typer.Option(min=0, help="Mutants with two edits, per program.")
    ] = 0,
    repairs: Annotated[
        int, typer.Option(min=0, help="Later edits tried as a repair of each killed mutant.")
    ] = 12,
    hold_out: Annotated[
        str | None,
        typer.Option(help="Operators kept out of training, comma-separated, or none."),
    ] = None,
    sandbox: Sandbox = "process",
    as_json: AsJson = False,
) -> None:
    """Make step-labelled data of reference programs by mutation testing.

    Mutants run in the sandbox. Your test file runs outside it, against a proxy of the mutant: it is
    trusted as your own code. Each function under test becomes a program of its own, with what it needs
    of its module. Killed and started again, the command goes on where it was. Programs and tests that
    cannot be used are named, with the reason; the exit code is 2 only if no program can.

    Examples:

      stepnav data mutate --task mbpp --data mbpp.jsonl.gz --out mutants --workers 8

      stepnav data mutate --program gcd.py --tests test_gcd.py --out mutants --decoys 10
    """
    from stepnav.cli import data as command

    values = arguments(locals())
    command.mutate(
        **{**values, "program": program or [], "tests": tests or [], "function": function or []}
    )


@data_app.command("merge")
def data_merge(
    places: Annotated[list[Path], typer.Argument(help="Folders or journals of all shards.")],
    out: Annotated[Path, typer.Option(help="Folder for the data.")],
    as_json: AsJson = False,
) -> None:
    """Make one data set of the shards of a campaign.

    Example:

      stepnav data merge shards/ --out mutants
    """
    from stepnav.cli import data as command

    command.merge_shards(**arguments(locals()))


@data_app.command("rollouts")
def data_rollouts(
    out: Annotated[Path, typer.Option(help="Folder for the journal and the data.")],
    task: Task = "arithmetic",
    split: Annotated[
        str | None, typer.Option(help="Its split; one that is not train must be named.")
    ] = None,
    data: Data = None,
    exclude_problems: ExcludeProblems = None,
    problems: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    solutions: Annotated[
        int, typer.Option(min=1, help="Solutions drawn and labelled of each.")
    ] = 4,
    samples: Annotated[int, typer.Option(min=1, help="Completions of each prefix.")] = 8,
    method: Annotated[
        str,
        typer.Option(help="each (prefix is completed) or bisection (for the first wrong step)."),
    ] = "each",
    labels: Annotated[
        str,
        typer.Option(
            help="hard (a right solution goes on from there) or soft (the share that does)."
        ),
    ] = "hard",
    keep_unsolved: Annotated[
        bool,
        typer.Option(
            "--keep-unsolved",
            help="Label the solutions of problems that the policy never solves, too.",
        ),
    ] = False,
    temperature: Annotated[float, typer.Option(min=0.0, help="Of all sampling.")] = 1.0,
    policy: Policy = None,
    policy_model: PolicyModel = None,
    api_key_env: ApiKeyEnv = None,
    timeout: Timeout = None,
    concurrency: Concurrency = None,
    retries: Retries = None,
    max_step_tokens: MaxStepTokens = None,
    max_solution_tokens: MaxSolutionTokens = None,
    extra_body: ExtraBody = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run.")] = False,
    active: Annotated[int, typer.Option(min=1, help="Problems worked on at once.")] = 64,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    shots: Shots = None,
    chat: Chat = False,
    sandbox: Sandbox = "process",
    as_json: AsJson = False,
) -> None:
    """Label the steps of a policy's own solutions by completing them from each prefix.

    A step is good if the policy can still reach the right answer from behind it. Killed and started again with
    --resume, nothing that was answered is asked again; what failed is tried again.

    Examples:

      stepnav data rollouts --out runs/rollouts --problems 50 --samples 8

      stepnav data rollouts --task gsm8k --data train.jsonl --policy ./my-model --labels soft --out runs/soft
    """
    from stepnav.cli import rollouts as command

    command.run(**with_server(locals()))
