"""Reading a benchmark: official files at a path, or the hub by name.

Every mistake in a file is one `DataError` line that names the file and the line. Problem ids are
made of the row's position, so they are stable however many problems are drawn. Deliberately
absent: caching and downloading, which `datasets` does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem
from stepnav.core.seeds import derive_seed
from stepnav.files.rows import BadRow, every_row, opened, parse_line
from stepnav.tasks.splits import check_split

Fields = Mapping[str, Any]
MakeProblem = Callable[[str, Fields], Problem]
"""Makes a problem of its id and its row; raises KeyError, TypeError or ValueError on a bad row."""

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What the loader needs to know of a benchmark.

    Attributes:
      name: task name; begins every problem id.
      splits: the splits that exist.
      hub: repository and configuration on the hub; the configuration may be None.
      make: makes a problem of a row.
      hub_splits: a split to its configuration and split there, where they differ from the above.
      is_of: (problem, split) to whether a file's problem is of the split; None takes all.
      none_text: why there is none, where a file without a problem of the split is refused; holds
        "{split}".
    """

    name: str
    splits: tuple[str, ...]
    hub: tuple[str, str | None]
    make: MakeProblem
    hub_splits: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    is_of: Callable[[Problem, str], bool] | None = None
    none_text: str | None = None

    def load(
        self, split: str = "test", count: int | None = None, seed: int = 0, path: Path | None = None
    ) -> list[Problem]:
        """Return problems of a split, in the order of the file; a task's loader (`Task.load`).

        Args:
          split: one of `splits`.
          count: how many to draw; None or more than there are takes all.
          seed: chooses which ones are drawn.
          path: an official file (JSON lines, a JSON list or Parquet, gzipped or not) or a folder
            that holds one named after the split or the task, in any case, or a folder of that name
            with a JSON file for each row; None loads from the hub.
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
        if self.is_of is not None:
            problems = [problem for problem in problems if self.is_of(problem, split)]
            if not problems and self.none_text is not None:
                none = self.none_text.format(split=split)
                raise DataError(f"{path or self.hub[0]} holds no problem {none}")
        return draw(problems, count, derive_seed(seed, self.name, split))

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


def text_field(row: Fields, name: str) -> str:
    """Return a field that must be text with something in it."""
    value = row[name]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"field {name!r} must be text (got {value!r})")
    return value


def _path_rows(benchmark: Benchmark, split: str, path: Path) -> Iterator[tuple[str, Any]]:
    files = sorted((path / split).rglob("*.json"))
    if not files:
        for row in every_row(_find_file(benchmark, split, path)):
            yield row.place, row.fields
    for file in files:
        with opened(file) as content:
            found = parse_line(1, content.read())
        if isinstance(found, BadRow):
            raise DataError(f"{file}: {found.reason}")
        yield str(file), found


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
