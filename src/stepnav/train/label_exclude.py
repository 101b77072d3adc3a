"""Problems that must not be learnt from, and whether a text is one of them.

Two problems are the same if their words are: white space is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepnav.core.errors import DataError, quote
from stepnav.train.label_rows import (
    BYTE_ORDER_MARK,
    BadRow,
    is_parquet,
    opened,
    parquet_rows,
    parse_line,
)

FIELDS = ("problem", "question", "prompt")
"""Where a row may hold its problem, the first one counts; a raw PRM800K `question` is an object with a `problem`."""


def normalise(problem: str) -> str:
    """Return a problem's text with single blanks between its words."""
    return " ".join(problem.split())


def read_problems(path: Path) -> frozenset[str]:
    """Return the normalised problems of a file: JSON lines or Parquet with one of `FIELDS`, or a problem a line.

    Raises:
      DataError: the file is missing, damaged or empty, or a row has no problem.
      ConfigError: it is Parquet and pyarrow is missing.
    """
    found = frozenset(normalise(text) for text in _texts(path))
    if not found:
        raise DataError(f"{path} holds no problem to exclude")
    return found


def _texts(path: Path) -> Iterator[str]:
    with opened(path) as file:
        if is_parquet(file):
            for number, row in enumerate(parquet_rows(file, path), 1):
                yield _problem(row, f"{path}, row {number}")
            return
        for number, line in enumerate(file, 1):
            line = line.removeprefix(BYTE_ORDER_MARK).strip()
            if line:
                yield _line(number, line, f"{path}, line {number}")


def _line(number: int, line: bytes, place: str) -> str:
    """Return the problem of a line: what JSON says, else the line itself."""
    value = parse_line(number, line)
    if isinstance(value, Mapping):
        return _problem(value, place)
    if isinstance(value, str):
        return value
    if isinstance(value, BadRow) and line.startswith(b"{"):
        raise DataError(f"{place}: {value.reason}; a line must be JSON or a problem's plain text")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: not UTF-8 text ({error.reason})") from None


def _problem(row: Mapping[str, Any], place: str) -> str:
    for name in FIELDS:
        value = row.get(name)
        if isinstance(value, Mapping):
            value = value.get("problem")
        if isinstance(value, str) and value.strip():
            return value
    raise DataError(
        f"{place}: no text in any of {', '.join(FIELDS)}; its fields are {quote(', '.join(map(str, row)))}"
    )
