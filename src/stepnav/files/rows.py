"""Rows of a data file: JSON lines, a JSON list or Parquet, plain or gzipped, told by content.

A row that cannot be read is a `BadRow` and reading goes on; a file that cannot be read, or that
breaks off, is one `DataError`.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from stepnav.core.errors import DataError, quote
from stepnav.files.atomic import escaped
from stepnav.files.parquet import load_pyarrow

GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_LIST_HEAD = re.compile(rb"\[\s*(?:[\[{\"\]]|null\b|$)")
"""Begins a JSON list of objects, lists or texts, and no line of plain text such as "[asy]"."""

_OPEN_OBJECT = re.compile(rb"\{[ \t\r]*\n")
"""Begins an object that goes over several lines."""

TYPE_NAMES = {"str": "text", "list": "a list", "dict": "an object"}

T = TypeVar("T", str, list[Any], dict[str, Any])


@dataclass(frozen=True, slots=True)
class FileRow:
    """One object of a file.

    Attributes:
      path: the file.
      number: its line, or its place in a list or table; from 1.
      fields: what it holds.
      unit: what is numbered, "line" or "row".
    """

    path: Path
    number: int
    fields: Mapping[str, Any]
    unit: str = "line"

    @property
    def place(self) -> str:
        """For messages, for instance "train.jsonl.gz, line 12"."""
        return f"{self.path}, {self.unit} {self.number}"

    @property
    def origin(self) -> str:
        """For records, for instance "train.jsonl.gz:12"; bytes that are no UTF-8 as escapes."""
        return f"{escaped(self.path.name)}:{self.number}"


@dataclass(frozen=True, slots=True)
class BadRow:
    """One line that is no usable row.

    Attributes:
      number: its line, or its place in a list or table; from 1.
      reason: what is wrong with it.
      unit: what is numbered, "line" or "row".
    """

    number: int
    reason: str
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.unit} {self.number}: {self.reason}"


class MalformedRow(ValueError):
    """A row is not of its file's format; its text says why."""


def read_rows(path: Path) -> Iterator[FileRow | BadRow]:
    """Yield the rows of a file in order; blank lines are none.

    Raises:
      DataError: the file is missing, empty, damaged, or breaks off.
      ConfigError: it is Parquet and pyarrow is missing.
    """
    is_empty = True
    with opened(path) as file:
        for number, unit, found in _objects(file, path):
            is_empty = False
            if isinstance(found, BadRow):
                yield found
            elif isinstance(found, Mapping):
                yield FileRow(path, number, found, unit)
            else:
                yield BadRow(number, f"expected an object (got {type(found).__name__})", unit)
    if is_empty:
        raise DataError(f"{path} is empty")


def every_row(path: Path) -> Iterator[FileRow]:
    """Yield the rows of a file in order, in which each must be one.

    Raises:
      DataError, ConfigError: as in `read_rows`, or a row cannot be used.
    """
    for row in read_rows(path):
        if isinstance(row, BadRow):
            raise DataError(f"{path}, {row}")
        yield row


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain or gzipped file for reading its content; UTF-16 and -32 are read as UTF-8.

    Raises:
      DataError: there, or while it is read: it is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            if file.peek(2)[:2] == GZIP_MAGIC:
                with gzip.open(file) as content:
                    yield _as_utf8(cast(IO[bytes], content), path)
            else:
                yield _as_utf8(file, path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name a file in it") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataError(f"{path}: the gzip data is truncated or damaged; get it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None


def is_parquet(file: IO[bytes]) -> bool:
    """Return whether a file that was just opened holds a Parquet table."""
    return _peek(file)[:4] == PARQUET_MAGIC


def parquet_rows(file: IO[bytes], path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a Parquet file.

    Raises:
      ConfigError: pyarrow is missing.
      DataError: the file is damaged.
    """
    pyarrow = load_pyarrow("reading")
    try:
        for batch in pyarrow.parquet.ParquetFile(io.BytesIO(file.read())).iter_batches():
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is a truncated or damaged Parquet file ({reason})") from None


def parse_line(number: int, line: bytes) -> Any:
    """Return what a line of JSON says, or a `BadRow`."""
    value = _parse_json(number, line)
    if b"\\u" not in line or isinstance(value, BadRow):
        return value
    return _encodable(number, value)


def is_json_list(file: IO[bytes]) -> bool:
    """Return whether a file that was just opened begins like a JSON list of rows."""
    return _LIST_HEAD.match(_head(file)) is not None


def json_list(file: IO[bytes], path: Path) -> list[Any]:
    """Return the items of a JSON list; one that cannot be written again is a `BadRow`.

    Raises:
      DataError: the list is damaged.
    """
    content = file.read()
    found = _parse_json(1, content)
    if isinstance(found, BadRow):
        raise DataError(
            f"{path} begins like a JSON list but is {found.reason}: it is truncated or damaged"
        )
    rows: list[Any] = found
    if b"\\u" not in content:
        return rows
    return [_encodable(number, row, "row") for number, row in enumerate(rows, 1)]


def need(fields: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return a field of a certain type.

    Raises:
      MalformedRow: it is missing or of another type.
    """
    if name not in fields:
        raise MalformedRow(
            f"no field {name!r}; its fields are {quote(', '.join(map(str, fields)))}"
        )
    value = fields[name]
    if not isinstance(value, kind):
        raise MalformedRow(
            f"the field {name!r} must be {TYPE_NAMES[kind.__name__]} (got {quote(str(value))})"
        )
    return value


def _objects(file: IO[bytes], path: Path) -> Iterator[tuple[int, str, Any]]:
    """Yield number, unit and value of all that a file holds."""
    if is_parquet(file):
        for number, row in enumerate(parquet_rows(file, path), 1):
            yield number, "row", row
    elif is_json_list(file):
        for number, row in enumerate(json_list(file, path), 1):
            yield number, "row", row
    elif _OPEN_OBJECT.match(_head(file)):
        raise DataError(
            f"{path} begins with a JSON object over several lines; write one object a line "
            "(jq -c . FILE), or a JSON list of them"
        )
    else:
        for number, value in _json_lines(file, path):
            yield number, "line", value


def _as_utf8(file: IO[bytes], path: Path) -> IO[bytes]:
    encoding = json.detect_encoding(_peek(file)[:4])
    if encoding.startswith("utf-8"):
        return file
    try:
        text = file.read().decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not {encoding.upper()} text ({error.reason})") from None
    return cast(IO[bytes], io.BufferedReader(io.BytesIO(text.encode())))


def _peek(file: IO[bytes]) -> bytes:
    head: bytes = file.peek(64)  # type: ignore[attr-defined]
    return head


def _head(file: IO[bytes]) -> bytes:
    """Return the first characters of a file's text."""
    return _peek(file).removeprefix(BYTE_ORDER_MARK).lstrip()


def _json_lines(file: IO[bytes], path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        value = parse_line(number, line)
        if isinstance(value, BadRow) and not line.endswith(b"\n"):
            raise DataError(
                f"{path}, line {number}: {value.reason}, and the file ends in that line: it is "
                "truncated or not JSON lines; get it again"
            )
        yield number, value


def _parse_json(number: int, text: bytes) -> Any:
    """Return what JSON says, or a `BadRow`."""
    try:
        return json.loads(text.removeprefix(BYTE_ORDER_MARK).decode())
    except json.JSONDecodeError as error:
        return BadRow(number, f"not valid JSON ({error.msg} at character {error.pos + 1})")
    except UnicodeDecodeError as error:
        return BadRow(number, f"not UTF-8 text ({error.reason})")
    except (ValueError, RecursionError) as error:
        return BadRow(number, f"not usable JSON ({error})")


def _encodable(number: int, value: Any, unit: str = "line") -> Any:
    """Return a value, or a `BadRow` if it has half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return BadRow(number, "half of a surrogate pair in its text", unit)
    except (ValueError, RecursionError) as error:
        return BadRow(number, f"not usable JSON ({error})", unit)
    return value
