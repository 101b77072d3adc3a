"""Where programs to mutate come from: a user's own files, and which ids of a benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from stepnav.core.errors import ConfigError, DataError
from stepnav.mutate.program.source import parse
from stepnav.mutate.reference import Reference
from stepnav.mutate.suite import read_suite

HELD_OUT = ("augmented_assignment", "function_swap", "slice")
"""Operators that a benchmark's training data leave out, to see whether a model knows errors of a kind
that it was never shown."""


def read_own(programs: Sequence[Path], tests: Sequence[Path]) -> tuple[list[Reference], list[str]]:
    """Return the user's programs with their tests, and a line for each that cannot be used.

    Raises:
      ConfigError: there is not one test file for each program.
    """
    if len(programs) != len(tests):
        raise ConfigError(
            f"each --program needs one --tests (got {len(programs)} programs and {len(tests)} "
            "test files)"
        )
    found: list[Reference] = []
    refused: list[str] = []
    for program, suite in zip(programs, tests):
        try:
            found.append(_read_pair(program, suite))
        except DataError as error:
            refused.append(str(error))
    return found, refused


def parse_ids(text: str | None, low: int, high: int) -> tuple[list[int], list[str]]:
    """Return the task ids named by a text, and a line for each that may not be trained on.

    Args:
      text: ids and ranges, for instance "601-620,700"; None for all from `low` to `high`.
      low, high: first and last id that may be trained on.
    Raises:
      ConfigError: the text is no list of ids.
    Example:
      >>> parse_ids("601-603,12", 511, 974)[0]
      [601, 602, 603]
    """
    if text is None:
        return list(range(low, high + 1)), []
    named = sorted(set(_expand(text)))
    refused = [
        f"mbpp {number}: training data come from ids {low}-{high} only"
        for number in named
        if not low <= number <= high
    ]
    return [number for number in named if low <= number <= high], refused


def _expand(text: str) -> Iterable[int]:
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigError(f"--ids must read like 601-620,700 (got {text!r})")
        yield from range(int(first), int(last if dash else first) + 1)


def _read_pair(program: Path, suite: Path) -> Reference:
    source, tests = _read(program), _read(suite)
    parse(source, str(program))
    check, entry_point = read_suite(source, tests, program_name=str(program), tests_name=str(suite))
    return Reference(
        task_id=program.stem,
        preamble="",
        source=source,
        test=check,
        entry_point=entry_point,
        style="humaneval",
    )


def _read(path: Path) -> str:
    """Return a file's text with one newline character at the end of each line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text") from None
    return text if text.endswith("\n") else text + "\n"
