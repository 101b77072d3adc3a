"""What all subcommands print with: consoles, JSON, progress."""

from __future__ import annotations

import gc
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console

from stepnav.core.errors import BackendError, ConfigError, JournalError

_is_quiet = False


def set_loudness(*, quiet: bool, verbose: int) -> None:
    """Set how much is told on standard error.

    Args:
      quiet: errors only, no notes, warnings and progress.
      verbose: 1 tells what the logger "stepnav" has from INFO on, 2 from DEBUG on.
    Raises:
      ConfigError: both are asked for.
    """
    global _is_quiet
    if quiet and verbose:
        raise ConfigError("--quiet and --verbose contradict each other; leave one of them out")
    _is_quiet = quiet
    level = (
        logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    )
    logging.basicConfig(format="%(name)s: %(message)s")
    logging.getLogger("stepnav").setLevel(level)


class Interrupted(Exception):
    """The user stopped a command; its text says how to go on."""


def resume_command() -> str:
    """Return the command that goes on with this run, on as many processes."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    program = ["stepnav"]
    if "TORCHELASTIC_RUN_ID" in os.environ:
        count = os.environ["LOCAL_WORLD_SIZE"]
        program = ["torchrun", "--nproc_per_node", count, "-m", "stepnav"]
    return shlex.join([*program, *words, "--resume"])


@contextmanager
def interruptible(kept: Callable[[], str]) -> Iterator[None]:
    """Let an interrupt say how to go on.

    Args:
      kept: what is there already, for instance "3 of 9 searches are done and kept".
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {kept()}; go on with: {resume_command()}") from None


@contextmanager
def resumable(done: Callable[[], str]) -> Iterator[None]:
    """Let what ends a run say how to go on: an interrupt, a full disk, a model that is gone.

    Args:
      done: what was done and is kept, for instance "3 of 9 searches are done and kept".
    """
    try:
        with interruptible(done):
            yield
    except JournalError as error:
        raise JournalError(f"{error}; then go on with: {resume_command()}") from None
    except BackendError as error:
        raise BackendError(f"{error}; {done()}; go on with: {resume_command()}") from None


PLAIN_INTERVAL_S = 5.0
"""Where there is no terminal, a progress line is printed this often."""


PIPE_WIDTH = 200
"""Columns where there is no terminal to ask."""


def stdout() -> Console:
    """Return the console for results; what it prints is never read as markup."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(highlight=False, markup=False, emoji=False, width=width)


def stderr() -> Console:
    """Return the console for notes and progress, mute with --quiet; it reads no markup."""
    return Console(stderr=True, quiet=_is_quiet, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print a result, in lines as they are."""
    stdout().print(text, soft_wrap=True)


def tell(text: str) -> None:
    """Print something besides the results on standard error, in lines as they are."""
    stderr().print(text, soft_wrap=True)


def note(text: str) -> None:
    """Print what the user should know on standard error."""
    tell(f"note: {text}")


def tell_notes(notes: Iterable[str]) -> None:
    """Print notes on standard error, one a line."""
    for text in notes:
        note(text)


def print_json(value: Any) -> None:
    """Print one JSON object."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Say on a terminal what is being loaded, as long as it takes.

    The garbage collector rests meanwhile: what is loaded stays, and looking through it again and
    again takes a sixth of the time of imports, half of that of search trees.
    """
    console = stderr()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with console.status(f"loading {what}") if console.is_terminal else nullcontext():
            yield
    finally:
        if was_enabled:
            gc.enable()


def leave_garbage() -> None:
    """Let the garbage collector leave alone all that is there, at the interpreter's end too.

    Not where code from outside was loaded: its objects may have something to write at their end.
    """
    plugins = sys.modules.get("stepnav.build.plugins")
    if plugins is None or not plugins.LOADED:
        gc.freeze()


class Progress:
    """A bar with rate and remaining time on a terminal, plain lines elsewhere.

    Args:
      title: what is counted.
      total: how many there are.
      unit: plural noun for the rate.
      first: how many were done before.
    """

    def __init__(self, title: str, total: int, unit: str, *, first: int = 0) -> None:
        self._title = title
        self._total = total
        self._unit = unit
        self._first = self._done = first
        self._began = self._printed = time.monotonic()
        self._console = stderr()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            from rich import progress

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[rate]}", markup=False),
                progress.TimeRemainingColumn(compact=True),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._bar.add_task(self._title, total=self._total, rate="")
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, note: str = "") -> None:
        """Count one that is done now."""
        self.reach(self._done + 1, note)

    def reach(self, done: int, note: str = "") -> None:
        """Set how many are done."""
        self._done = done
        now = time.monotonic()
        rate = (self._done - self._first) / max(now - self._began, 1e-9)
        text = f"{rate:.1f} {self._unit}/s"
        if self._bar is not None:
            description = f"{self._title} {note}".rstrip()
            self._bar.update(0, completed=self._done, description=description, rate=text)
        elif now - self._printed >= PLAIN_INTERVAL_S or self._done == self._total:
            self._printed = now
            left_s = (self._total - self._done) / max(rate, 1e-9)
            self._console.print(
                f"{self._title} {note}".rstrip()
                + f": {self._done}/{self._total}, {text}, {left_s:.0f} s left",
                soft_wrap=True,
            )


class Stages:
    """Progress of work that tells its figures itself: a bar for each stage, begun when it is told.

    Args:
      unit: plural noun for the rate.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._title = ""
        self._bar: Progress | None = None

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.__exit__()
            self._bar = None

    def reach(self, title: str, done: int, total: int, note: str = "") -> None:
        """Show how far a stage is."""
        if title != self._title or self._bar is None:
            self.__exit__()
            self._title = title
            self._bar = Progress(title, total, self._unit, first=done).__enter__()
        self._bar.reach(done, note)
