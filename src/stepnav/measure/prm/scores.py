"""The scores of an evaluation, journaled in `scores.jsonl`.

The first line says what was scored by which model; a file of another one is refused. Each further
line holds the scores of one solution, written as soon as they are there, so that an evaluation
that was killed goes on where it was. A line cut short by the kill is taken off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import DataError
from stepnav.core.records import StepScore
from stepnav.core.seeds import derive_seed
from stepnav.files.claim import first_difference, sealed, unsealed
from stepnav.measure.prm.cases import Case
from stepnav.run.scoring import score_trajectories

FILE_NAME = "scores.jsonl"
FORMAT = 1

Scores = tuple[StepScore, ...]
Scored = tuple[Case, Scores]

MODEL_SUFFIXES = frozenset({".json", ".safetensors", ".bin", ".gguf", ".model", ".txt", ".jinja"})


def folder_digest(folder: Path) -> str:
    """Return what changes with a model's weights, tokenizer or settings.

    Only the files that loading reads count, by their ending; cards and subfolders do not.
    """
    digest = blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in MODEL_SUFFIXES:
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()


class ScoresFile:
    """The journal of an evaluation; a context manager.

    Args:
      path: made if it is missing, else gone on with.
      settings: what was scored by what; JSON values.
      sizes: how many steps each solution has.

    Raises:
      DataError: it belongs to another evaluation, is damaged, or cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], sizes: Sequence[int]) -> None:
        self.path = path
        self.scores: dict[int, Scores] = {}
        self.reward_tokens = 0
        self._sizes = sizes
        self._header = {"format": FORMAT, **settings}
        try:
            end = self._read()
            self._is_new = end == 0
            self._file = path.open("ab")
            self._file.truncate(end)
        except OSError as error:
            raise DataError(f"cannot use {path}: {error.strerror or error}") from None

    def add(self, number: int, case: Case, answer: Answer) -> None:
        """Append the scores of one solution.

        Raises:
          DataError: the disk is full.
        """
        rows = [[s.negative_prob, s.neutral_prob, s.positive_prob] for s in answer.items]
        tokens = answer.usage.reward_tokens
        try:
            if self._is_new:  # not before: a model that cannot be opened must not bind the folder
                self._write(sealed(self._header))
                self._is_new = False
            self._write({"case": number, "id": case.id, "probs": rows, "tokens": tokens})
        except OSError as error:
            raise DataError(
                f"cannot write {self.path}: {error.strerror or error}; free some space and start "
                "the command again: it goes on where it was"
            ) from None
        self.scores[number] = answer.items
        self.reward_tokens += tokens

    def __enter__(self) -> ScoresFile:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _write(self, value: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()

    def _read(self) -> int:
        """Read what is there; return where the last whole line ends."""
        if not self.path.exists():
            return 0
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:end].splitlines()):
            try:
                row = json.loads(line)
                if number == 0:
                    self._check_same(row, self._header)
                else:
                    self._take(row)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise DataError(
                    f"{self.path}, line {number + 1}: not of an evaluation ({error!r}); name "
                    "another --out, or delete the file to score again"
                ) from None
        return end

    def _take(self, row: Mapping[str, Any]) -> None:
        number = row["case"]
        if not isinstance(number, int) or not 0 <= number < len(self._sizes):
            raise ValueError(f"case {number!r}")
        if len(row["probs"]) != self._sizes[number]:
            raise ValueError(f"{len(row['probs'])} scores for {self._sizes[number]} steps")
        self.scores[number] = tuple(StepScore(*probs) for probs in row["probs"])
        self.reward_tokens += row["tokens"]

    def _check_same(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        if difference := first_difference(unsealed(found, self.path), wanted):
            raise DataError(
                f"{self.path} holds scores made otherwise ({difference}); name another --out, or "
                "delete the file to score again"
            )


def score_cases(
    backend: Backend,
    cases: Sequence[Case],
    file: ScoresFile,
    *,
    progress: Callable[[int], object] = lambda done: None,
) -> dict[int, str]:
    """Score what the file does not hold yet; return why a solution could not be scored, by number.

    Args:
      backend: the reward model.
      cases: all solutions.
      file: gets the scores.
      progress: called with how many solutions are done.
    Raises:
      BackendDown: the model failed; what was scored is kept.
      DataError: a line cannot be written.
    """
    waiting = [number for number in range(len(cases)) if number not in file.scores]
    failed: dict[int, str] = {}
    trajectories = (cases[number].trajectory for number in waiting)
    for position, answer in score_trajectories(backend, trajectories):
        number = waiting[position]
        if not isinstance(answer, Answer):
            failed[number] = str(answer)
        elif len(answer.items) != len(cases[number].steps):
            raise DataError(
                f"{cases[number].id}: the reward model gave {len(answer.items)} scores for "
                f"{len(cases[number].steps)} steps"
            )
        else:
            file.add(number, cases[number], answer)
        progress(len(file.scores) + len(failed))
    return failed


def split_by_problem(
    scored: Sequence[Scored], share: float, seed: int, *, name: str
) -> tuple[list[Scored], list[Scored]]:
    """Return a part with about `share` of the problems, and the rest.

    No problem is in both; each part has at least one if there are two.

    Args:
      scored: solutions with their scores.
      share: in (0, 1).
      seed, name: choose which problems.
    """
    groups = sorted({c.group for c, _ in scored}, key=lambda g: derive_seed(seed, name, g))
    count = min(max(round(share * len(groups)), 1), len(groups) - 1)
    chosen = set(groups[:count])
    part = [item for item in scored if item[0].group in chosen]
    return part, [item for item in scored if item[0].group not in chosen]
