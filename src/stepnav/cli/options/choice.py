"""Problems picked by their ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from stepnav import build
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

MAX_DRAWN = 100_000
"""Problems that an embedded task makes at most to find an id."""


def parse_ids(text: str) -> list[str]:
    """Return the ids in the value of `--ids`, each once.

    Raises:
      ConfigError: there are none.
      DataError: the file cannot be read.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text()
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
    count = None
    if task.name in build.EMBEDDED_TASKS:  # they make their problems, and number them
        numbers = [int(match[0]) for text in ids if (match := re.search(r"\d{1,9}$", text))]
        count = min(max(numbers, default=0) + 1, MAX_DRAWN)
    by_id = {problem.id: problem for problem in task.load(split, count, seed, data)}
    for text in ids:
        if text not in by_id:
            raise ConfigError(
                f"{task.name}/{split} has no problem {text!r}{nearest(text, list(by_id))}; its "
                f"first is {next(iter(by_id))!r}" + (f" (seed {seed})" if count else "")
            )
    return [by_id[text] for text in ids]
