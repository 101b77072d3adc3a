"""Problems picked by their ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from stepnav.core.errors import ConfigError, DataError, nearest
from stepnav.core.records import Problem
from stepnav.tasks.task import Task

Ids = Annotated[
    str | None,
    typer.Option(
        help="Only the problems of these ids, comma-separated, or @FILE with ids between commas "
        "or on lines."
    ),
]

_INDEX = re.compile("0|[1-9][0-9]{0,8}")


def parse_ids(text: str) -> list[str]:
    """Return the ids in the value of `--ids`, each once.

    Raises:
      ConfigError: there are none.
      DataError: the file cannot be read.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read the ids in {text[1:]} ({error})") from None
    ids = [part.strip() for part in re.split(r"[,\n]", text)]
    found = list(dict.fromkeys(filter(None, ids)))
    if not found:
        raise ConfigError("--ids names no problem; give ids between commas, or @FILE")
    return found


def pick(task: Task, ids: Sequence[str], split: str, seed: int, data: Path | None) -> list[Problem]:
    """Return the problems of these ids, in their order.

    Raises:
      ConfigError: the split holds no problem of such an id.
    """
    if task.problem is not None:
        task.load(split, 0, seed, data)  # refuses an unknown split, and data
        return [_made(task, task.problem, text, f"{task.name}-{split}-{seed}-") for text in ids]
    by_id = {problem.id: problem for problem in task.load(split, None, seed, data)}
    for text in ids:
        if text not in by_id:
            raise ConfigError(
                f"{task.name}/{split} has no problem {text!r}{nearest(text, list(by_id))}; its "
                f"first is {next(iter(by_id), None)!r}"
            )
    return [by_id[text] for text in ids]


def _made(task: Task, make: Callable[[str], Problem], text: str, start: str) -> Problem:
    """Return a problem that is made of its id alone, which is `start` and a number."""
    if not text.startswith(start) or not _INDEX.fullmatch(text.removeprefix(start)):
        _, split, seed, _ = start.rsplit("-", 3)
        raise ConfigError(
            f"{task.name}/{split} has no problem {text!r}; its first is '{start}0' (seed {seed})"
        )
    return make(text)
