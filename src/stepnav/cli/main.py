"""The `stepnav` command: its subcommands, and one clear line for everything that goes wrong.

Nothing heavy is imported here: a command's module is imported when it is called (`table.py`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from stepnav import __version__
from stepnav.cli.console import leave_garbage
from stepnav.cli.parser.table import TableGroup
from stepnav.core.compute import prepare

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

EXTRA_OF = {
    "accelerate": "train", "datasets": "hub", "fastapi": "serve", "httpx": "openai",
    "huggingface_hub": "local", "math_verify": "math", "matplotlib": "bench", "numpy": "local",
    "peft": "train", "prometheus_client": "serve", "pyarrow": "bench", "safetensors": "local",
    "scipy": "bench", "sse_starlette": "serve", "tokenizers": "local", "torch": "local",
    "transformers": "local", "uvicorn": "serve",
}  # fmt: skip
"""Package -> the extra that brings it."""

_interrupts: list[int] = []
"""Signals that asked this process to stop."""

app = typer.Typer(
    name="stepnav",
    cls=TableGroup,
    help="Make language models reason better by rewarding their steps.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    """Handle options that stand before the subcommand."""
    if version:
        typer.echo(f"stepnav {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command; every expected error is one line on standard error and exit code 2."""
    _open_missing_streams()
    prepare()
    _take_interrupts()
    try:
        code = app(standalone_mode=False)
        if code == EXIT_INTERRUPTED:  # how newer parsers report Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()
        _prepare_to_end()
        if code:  # a command's own verdict
            sys.exit(code)
    except KeyboardInterrupt:
        _end("interrupted", EXIT_INTERRUPTED)
    except (
        BrokenPipeError,
        SystemExit,
    ) as error:  # parser and printer turn the first into the second
        if not isinstance(error.__context__ or error, OSError):
            raise  # shell completion ends this way
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
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return f"{error}; raise the limit (ulimit -n), or do less at once"
    if isinstance(error, (StepnavError, OSError)):
        return " ".join(str(error).split())
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # the latter is torch's
        what = " ".join(str(error).split()) or "MemoryError"
        advice = "end other programs, raise this one's limit, or ask for less at once"
        return f"the memory is full ({what}); {advice}"
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package in EXTRA_OF:
        return f"this needs {package}: pip install 'stepnav[{EXTRA_OF[package]}]'"
    return None


def _take_interrupts() -> None:
    """Let Ctrl-C, a request to end and a lost terminal stop the command in one way.

    The first and the last may have been switched off from outside, as `nohup` does.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(signum: int, frame: object) -> NoReturn:
    _interrupts.append(signum)
    raise KeyboardInterrupt


def _prepare_to_end() -> None:
    """Let an interrupt that comes when all is done change neither the exit code nor the output.

    Nor need the interpreter, at its end, look for garbage in all that is left.
    """
    leave_garbage()
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # should the interpreter hang at its end


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
    _prepare_to_end()
    with contextlib.suppress(OSError):  # the terminal may be gone
        sys.stderr.write(message + "\n")
    sys.exit(code)
