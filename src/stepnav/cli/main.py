"""The `stepnav` command: its subcommands, and one clear line for everything that goes wrong.

Nothing heavy is imported here: each subcommand imports what it needs when it is called.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from stepnav import __version__

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

_interrupts: list[int] = []
"""Signals that asked this process to stop."""

app = typer.Typer(
    name="stepnav",
    help="Make language models reason better by rewarding their steps.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
zoo_app = typer.Typer(
    help="The models that ship with the package.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(zoo_app, name="zoo")
data_app = typer.Typer(
    help="Step-labelled training data.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(data_app, name="data")

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
        help="Who scores: a shipped model (arithmetic, micro-python), a model folder, "
        "likelihood:FOLDER, oracle, or execution (code: the public tests). [default: the task's own]"
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same tree.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON; solve and show: one line per search.")
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Dtype = Annotated[str, typer.Option(help="float32 (same tree in any batch) or bfloat16.")]
Sandbox = Annotated[
    str,
    typer.Option(help="How programs are run: process, namespace, docker, or unsafe (not at all)."),
]
Chat = Annotated[bool, typer.Option("--chat", help="Prompt with the model's chat template.")]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Handle options that stand before the subcommand."""
    if version:
        typer.echo(f"stepnav {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def solve(
    problem: Annotated[
        str | None, typer.Argument(help="The problem; left out, one is taken from the task.")
    ] = None,
    task: Task = "arithmetic",
    split: Split = None,
    data: Data = None,
    index: Annotated[int, typer.Option(min=0, max=99_999, help="Which problem of the split.")] = 0,
    hard: Annotated[
        int, typer.Option(min=0, help="Take the first so many problems that cot gets wrong.")
    ] = 0,
    strategy: Annotated[str, typer.Option(help="NAME or NAME:OPTION=VALUE:OPTION=VALUE.")] = "hgs",
    policy: Policy = None,
    policy_model: PolicyModel = None,
    reward: Reward = None,
    seed: Seed = 0,
    max_policy_tokens: Annotated[
        int | None, typer.Option(min=1, help="Budget of generated tokens.")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Budget of seconds.")] = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    chat: Chat = False,
    sandbox: Sandbox = "process",
    page: Annotated[Path | None, typer.Option(help="Also write the tree as an HTML page.")] = None,
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

    command.run(**_arguments(locals()))


@app.command()
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
    reward: Reward = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run, or start it if it is not there.")
    ] = False,
    active: Annotated[int, typer.Option(min=1, help="Searches that run at once.")] = 192,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    chat: Chat = False,
    sandbox: Sandbox = "process",
    as_json: AsJson = False,
) -> None:
    """Compare strategies on the same problems, at the same budgets.

    Examples:

      stepnav bench --out runs/first --problems 100

      stepnav bench --out runs/equal --budgets 250,500,1000,2000 --resume

      stepnav bench --out runs/ablation --strategies cot,hgs,hgs:temperature=0.1,hgs:children=4
    """
    from stepnav.cli import bench as command

    command.run(**_arguments(locals()))


@app.command()
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

    command.run(**_arguments(locals()))


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    problem: Annotated[str, typer.Option(help="Id of the problem, or its number in the run.")],
    strategy: Annotated[str | None, typer.Option(help="Only this strategy. [default: all]")] = None,
    budget: Annotated[int | None, typer.Option(help="Only this budget.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write the tree as an HTML page; one search only.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the search trees of one problem again, from the journal.

    Example:

      stepnav show runs/first --problem 0 --strategy hgs
    """
    from stepnav.cli import show as command

    command.run(**_arguments(locals()))


@app.command()
def grade(
    samples: Annotated[
        Path, typer.Option(help="JSON lines with task_id and completion or solution.")
    ],
    task: Annotated[str, typer.Option(help="humaneval, mbpp or micro-python.")] = "humaneval",
    data: Data = None,
    workers: Annotated[int, typer.Option(min=1, help="Programs that run at once.")] = 2,
    sandbox: Sandbox = "process",
    cpu_seconds: Annotated[
        float | None, typer.Option(help="Limit of one program. [default: the sandbox's, 5]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Grade model-written programs in the sandbox and report pass@k.

    Verdicts go to SAMPLES_results.jsonl, one a line; started again, it goes on where it was. Lines that
    cannot be graded are named and counted; the exit code is 2 only if nothing could be graded.

    Examples:

      stepnav grade --task humaneval --samples samples.jsonl --data HumanEval.jsonl.gz

      stepnav grade --task mbpp --samples samples.jsonl --workers 8 --json
    """
    from stepnav.cli import grade as command

    command.run(**_arguments(locals()))


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

    command.run(**_arguments(locals()))


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
        typer.Option(help="Its tests: asserts, check(candidate) or test_*; one per program."),
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
    trusted as your own code. Killed and started again, the command goes on where it was. Programs that
    cannot be used are named and counted; the exit code is 2 only if none can.

    Examples:

      stepnav data mutate --task mbpp --data mbpp.jsonl.gz --out mutants --workers 8

      stepnav data mutate --program gcd.py --tests test_gcd.py --out mutants --decoys 10
    """
    from stepnav.cli import data as command

    values = _arguments(locals())
    command.mutate(**{**values, "program": program or [], "tests": tests or []})


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

    command.merge_shards(**_arguments(locals()))


def main() -> None:
    """Run the command; every expected error is one line on standard error and exit code 2."""
    _open_missing_streams()
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it may be switched off
        signal.signal(signal.SIGINT, _interrupt)
    try:
        if app(standalone_mode=False) == EXIT_INTERRUPTED:  # how newer parsers report Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()
    except KeyboardInterrupt:
        _end("interrupted", EXIT_INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # parser and printer turn the first into the second
        _drop_output()
        _end("error: standard output was closed before all was printed", EXIT_BAD_INPUT)
    except Exception as error:
        name = type(error).__name__
        if name == "Interrupted":
            _end(str(error), EXIT_INTERRUPTED)
        if name == "Abort" or _interrupts:  # how older ones do; libraries turn it into their own
            _end("interrupted", EXIT_INTERRUPTED)
        if name == "NoArgsIsHelpError":  # the parser shows its help this way
            typer.echo(str(error))
            return
        message = _explain(error)
        if message is None:
            raise
        _end(f"error: {message}", EXIT_BAD_INPUT)


def _explain(error: Exception) -> str | None:
    """Return the one line for an expected error, None for a defect of ours."""
    from stepnav.core.errors import StepnavError

    if hasattr(error, "format_message"):  # a usage error of the parser
        return " ".join(error.format_message().split())
    if isinstance(error, (StepnavError, OSError)):
        return " ".join(str(error).split())
    return None


def _arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Return a subcommand's arguments from its `locals()`."""
    return {name: value for name, value in values.items() if name != "command"}


def _interrupt(signum: int, frame: object) -> NoReturn:
    _interrupts.append(signum)
    raise KeyboardInterrupt


def _open_missing_streams() -> None:
    """Put something in the place of output streams that were closed before the start.

    Else the next file that is opened would get their number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


def _drop_output() -> None:
    """Send what was not printed nowhere, so that the interpreter's end does not stumble over it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _end(message: str, code: int) -> NoReturn:
    sys.stderr.write(message + "\n")
    sys.exit(code)
