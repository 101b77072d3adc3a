"""Reading a benchmark: official files at a path, or the hub by name.

Every mistake in a file is one `DataError` line that names the file and the line. Problem ids are
made of the row's position, so they are stable however many problems are drawn. Deliberately
absent: caching and downloading, which `datasets` does.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem
from stepnav.core.seeds import derive_seed
from stepnav.tasks.splits import check_split

Fields = Mapping[str, Any]
MakeProblem = Callable[[str, Fields], Problem]
"""Makes a problem of its id and its row; raises KeyError, TypeError or ValueError on a bad row."""

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What the loader needs to know of a benchmark.

    Attributes:
      name: task name; begins every problem id.
      splits: the splits that exist.
      hub: repository and configuration on the hub; the configuration may be None.
      make: makes a problem of a row.
      hub_splits: a split to its configuration and split there, where they differ from the above.
    """

    name: str
    splits: tuple[str, ...]
    hub: tuple[str, str | None]
    make: MakeProblem
    hub_splits: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)

    def load(self, split: str, *, path: Path | None, count: int | None, seed: int) -> list[Problem]:
        """Return problems of a split, in the order of the file.

        Args:
          split: one of `splits`.
          path: an official file (.jsonl, .json, either may be gzipped) or a folder that holds
            one named after the split or the task, in any case, or a folder of that name with a
            JSON file for each row; None loads from the hub.
          count: how many to draw; None or more than there are takes all.
          seed: chooses which ones are drawn.
        Raises:
          ConfigError: no such split, or `datasets` is needed and missing.
          DataError: the file is missing, broken or from somewhere else.
        """
        check_split(self.name, split, self.splits)
        if count is not None and count < 0:
            raise ValueError(f"count must not be negative (got {count})")
        rows = _hub_rows(self, split) if path is None else _path_rows(self, split, Path(path))
        problems = [
            self._problem(f"{self.name}-{split}-{index}", where, row)
            for index, (where, row) in enumerate(rows)
        ]
        return draw(problems, count, derive_seed(seed, self.name, split))

    def load_or_draw(
        self, split: str, count: int | None, seed: int, path: Path | None
    ) -> list[Problem]:
        """Return problems, as a task's loader (`Task.load`)."""
        return self.load(split, path=path, count=count, seed=seed)

    def _problem(self, problem_id: str, where: str, row: Any) -> Problem:
        if not isinstance(row, Mapping):
            raise DataError(f"{where}: expected an object (got {type(row).__name__})")
        try:
            return self.make(problem_id, row)
        except KeyError as error:
            raise DataError(
                f"{where}: no field {error} for {self.name}; its fields are "
                f"{', '.join(map(str, row))}"
            ) from None
        except (TypeError, ValueError) as error:
            raise DataError(f"{where}: not a row of {self.name} ({error})") from None


def draw(problems: list[Problem], count: int | None, seed: int) -> list[Problem]:
    """Return `count` of the problems, drawn without replacement, in their old order."""
    if count is None or count >= len(problems):
        return problems
    chosen = sorted(random.Random(seed).sample(range(len(problems)), count))
    return [problems[index] for index in chosen]


def read_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield ("file, line N", row) of a JSON-lines file or of a file with one JSON list.

    Raises:
      DataError: the file is missing, not readable, truncated, or a line is not JSON.
    """
    if ".json" in path.suffixes and ".jsonl" not in path.suffixes:
        yield from _read_list(path)
        return
    number, is_empty = 0, True
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    is_empty = False
                    yield f"{path}, line {number}", _parsed(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}: not valid JSON ({error})") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, after line {number}: not {error.encoding.upper()} text ({error.reason})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: not usable JSON ({error})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, number, error) from None
    if is_empty:
        raise DataError(f"{path} is empty")


def text_field(row: Fields, name: str) -> str:
    """Return a field that must be text with something in it."""
    value = row[name]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"field {name!r} must be text (got {value!r})")
    return value


def _read_list(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with _open(path) as file:
            text = file.read()
            rows = _parsed(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, 0, error) from None
    if rows == []:
        raise DataError(f"{path} is empty")
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a list of rows (got {type(rows).__name__})")
    for number, row in enumerate(rows, 1):
        yield f"{path}, row {number}", row


def _parsed(text: str) -> Any:
    """Return what JSON text says.

    Raises:
      ValueError: it is not valid, or holds half of a surrogate pair, which no tokenizer takes.
    """
    value = json.loads(text)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def text_encoding(file: Any) -> str:
    """Return the encoding of JSON text by its first bytes: UTF-8, -16 or -32, marked or not.

    Args:
      file: open in binary, with `peek`.
    """
    return json.detect_encoding(file.peek(4)[:4])


def _open(path: Path) -> Any:
    file: Any = gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
    try:
        return io.TextIOWrapper(file, text_encoding(file))
    except BaseException:
        file.close()
        raise


def _unreadable(path: Path, number: int, error: BaseException) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"there is no file {path}")
    if isinstance(error, (EOFError, zlib.error)):
        return DataError(f"{path}, after line {number}: the gzip data is truncated or damaged")
    return DataError(f"{path}, after line {number}: cannot be read ({error})")


def _path_rows(benchmark: Benchmark, split: str, path: Path) -> Iterator[tuple[str, Any]]:
    files = sorted((path / split).rglob("*.json"))
    if not files:
        yield from read_rows(_find_file(benchmark, split, path))
    for file in files:
        try:
            yield str(file), _parsed(file.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}: not valid JSON ({error})") from None
        except OSError as error:
            raise _unreadable(file, 0, error) from None


def _find_file(benchmark: Benchmark, split: str, path: Path) -> Path:
    if not path.is_dir():
        return path
    names = [stem + suffix for stem in (split, benchmark.name) for suffix in SUFFIXES]
    found = {entry.name.lower(): entry for entry in sorted(path.iterdir()) if entry.is_file()}
    for name in names:
        if name in found:
            return found[name]
    raise DataError(f"the folder {path} holds none of {', '.join(names)}")


def _hub_rows(benchmark: Benchmark, split: str) -> Iterator[tuple[str, Any]]:
    repository, configuration = benchmark.hub
    configuration, hub_split = benchmark.hub_splits.get(split, (configuration, split))
    try:
        import datasets
    except ImportError:
        raise ConfigError(
            f"loading {benchmark.name} by name needs datasets: pip install 'stepnav[hub]'; "
            "or give the path of its official file"
        ) from None
    try:
        rows = datasets.load_dataset(repository, configuration, split=hub_split)
    except Exception as error:  # datasets raises whatever its storage layers raise
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise DataError(
            f"cannot load {repository} from the hub ({type(error).__name__}: {reason}); "
            "give the path of its official file instead"
        ) from error
    for number, row in enumerate(rows, 1):
        yield f"{repository} {hub_split}, row {number}", row
