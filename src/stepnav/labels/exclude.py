"""Problems that must not be learnt from, and whether a text is one of them.

Two problems are the same if their words are: white space, Unicode's variants of a character, curly
quotes, characters that cannot be seen and the size of LaTeX's fractions are not compared, and of a
program's task only what stands before its first assert. Mutation data are known by their `task_id`
too.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any

from stepnav.core.errors import DataError, quote
from stepnav.files.rows import (
    BYTE_ORDER_MARK,
    BadRow,
    MalformedRow,
    is_json_list,
    is_parquet,
    json_list,
    opened,
    parquet_rows,
    parse_line,
)
from stepnav.labels.math_shepherd import TAG, find_problem

FIELDS = ("problem", "question", "prompt", "text")
"""Fields in which a row may hold its problem; the first that it has counts. In raw PRM800K
`question` is an object with a `problem`."""

ALLOWED = (
    f"{', '.join(FIELDS)}, body with question (SVAMP, ASDiv), input with target (MAWPS) or "
    "step tags (Math-Shepherd)"
)

_QUOTES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b", "'") | dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
)


def normalise(problem: str) -> str:
    """Return a problem's text with single blanks and one spelling of what looks alike."""
    if not problem.isascii():
        text = unicodedata.normalize("NFKC", problem).translate(_QUOTES)
        problem = "".join(char for char in text if unicodedata.category(char) != "Cf")
    problem = problem.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    return " ".join(problem.split())


def problem_names(problem: str, *others: str) -> tuple[str, ...]:
    """Return by what a problem may be listed: its text, and what else it is called."""
    asked = problem.partition("\nassert ")[0]
    return (normalise(asked if asked.strip() else problem), *map(normalise, others))


def read_problems(path: Path) -> dict[str, int]:
    """Return what the problems of a file are called, each name with the number of its problem.

    The file: JSON lines, a JSON list, a CSV table with a header or Parquet, with one of `ALLOWED`,
    or a problem a line.

    Raises:
      DataError: the file is missing, damaged or empty, or a row has no problem.
      ConfigError: it is Parquet and pyarrow is missing.
    """
    found: dict[str, int] = {}
    for number, names in enumerate(_read(path)):
        known = next((found[name] for name in names if name in found), number)
        for name in names:
            found.setdefault(name, known)
    if not found:
        raise DataError(f"{path} holds no problem to exclude")
    return found


def _read(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the names of each problem."""
    with opened(path) as file:
        if is_parquet(file):
            for number, row in enumerate(parquet_rows(file, path), 1):
                yield _row(row, f"{path}, row {number}")
        elif is_json_list(file):
            for number, item in enumerate(json_list(file, path), 1):
                yield _item(item, f"{path}, row {number}")
        else:
            yield from _lines(file, path)


def _lines(file: IO[bytes], path: Path) -> Iterator[tuple[str, ...]]:
    first = file.readline().removeprefix(BYTE_ORDER_MARK)
    lines = chain([first], file)
    delimiter = _delimiter(first)
    if delimiter is not None:
        yield from _table(lines, delimiter, path)
        return
    if path.name.removesuffix(".gz").endswith((".csv", ".tsv")):
        raise DataError(f"{path}: its first line must name one of {ALLOWED} (got {_shown(first)})")
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _line(number, line.strip(), f"{path}, line {number}")


def _delimiter(line: bytes) -> str | None:
    """Return the delimiter if a line is the header of a table with problems; else None."""
    for delimiter in ",\t;":
        cells = [
            cell.strip('" ') for cell in line.decode(errors="replace").strip().split(delimiter)
        ]
        is_header = all(re.fullmatch(r"\w*", cell) for cell in cells)
        if is_header and ({*FIELDS, "input"} & {*cells} or {"Body", "Question"} <= {*cells}):
            return delimiter
    return None


def _table(lines: Iterable[bytes], delimiter: str, path: Path) -> Iterator[tuple[str, ...]]:
    texts = (_text(line, f"{path}, line {number}") for number, line in enumerate(lines, 1))
    rows = csv.DictReader(texts, delimiter=delimiter, skipinitialspace=True)
    try:
        for row in rows:
            yield _row(row, f"{path}, line {rows.line_num}")
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: no row of a table ({error})") from None


def _line(number: int, line: bytes, place: str) -> tuple[str, ...]:
    """Return the names in a line: what JSON says, else the line itself."""
    value = parse_line(number, line)
    if isinstance(value, BadRow) and line.startswith(b"{"):
        raise DataError(f"{place}: {value.reason}; a line must be JSON or a problem's plain text")
    if isinstance(value, (Mapping, str, list)):
        return _item(value, place)
    return problem_names(_text(line, place))


def _item(value: Any, place: str) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        return _row(value, place)
    if isinstance(value, str) and value.strip():
        return problem_names(value)
    found = value.reason if isinstance(value, BadRow) else quote(str(value))
    raise DataError(f"{place}: expected an object or a problem's text (got {found})")


def _row(row: Mapping[str, Any], place: str) -> tuple[str, ...]:
    named = _task_name(row)
    body, question = (row.get(name, row.get(name.title())) for name in ("body", "question"))
    if isinstance(body, str) and isinstance(question, str):
        body = body.strip()
        return problem_names(f"{body} {question}", f"{body}. {question}")
    for name in FIELDS:
        value = row.get(name)
        if isinstance(value, Mapping):
            value = value.get("problem")
        if isinstance(value, str) and value.strip():
            return problem_names(value, *named)
    text = row.get("input")
    if isinstance(text, str) and text.strip() and "target" in row:
        return problem_names(text)
    if isinstance(text, str) and TAG in text:
        try:
            if problem := find_problem(text):
                return problem_names(problem)
        except MalformedRow as error:
            raise DataError(f"{place}: {error}; mend or remove it") from None
    fields = quote(", ".join(map(str, row)))
    raise DataError(f"{place}: no text in any of {ALLOWED}; its fields are {fields}")


def _task_name(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the `task_id` of mutation data; MBPP's own rows have its number."""
    name = row.get("task_id")
    if isinstance(name, int) and "test_list" in row:
        return (f"mbpp-{name}",)
    return (name,) if isinstance(name, str) and name.strip() else ()


def _text(line: bytes, place: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: not UTF-8 text ({error.reason})") from None


def _shown(line: bytes) -> str:
    return quote(line.decode(errors="replace").strip())
