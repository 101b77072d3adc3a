"""The scores of an evaluation, journaled in `scores.jsonl`.

The first line says what was scored by which model; a file of another one is refused. Each further
line holds the scores of one solution, written as soon as they are there, so that an evaluation
that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import DataError
from stepnav.core.records import StepScore
from stepnav.core.seeds import derive_seed
from stepnav.files.lines import LineFile
from stepnav.measure.prm.case import Case
from stepnav.run.scoring import score_trajectories

FILE_NAME = "scores.jsonl"
FORMAT = 1

Scores = tuple[StepScore, ...]
Scored = tuple[Case, Scores]

MODEL_SUFFIXES = frozenset({".json", ".safetensors", ".bin", ".gguf", ".model", ".txt", ".jinja"})


def folder_digest(folder: Path, *, without: str = "") -> str:
    """Return what changes with a model's weights, tokenizer or settings.

    Only the files that loading reads count, by their ending; cards and subfolders do not.

    Args:
      folder: the model's.
      without: name of a file that does not count.
    """
    digest = blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in MODEL_SUFFIXES and path.name != without:
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()


class ScoresFile(LineFile):
    """The journal of an evaluation; arguments and errors as of `LineFile`.

    Args:
      settings: what was scored by what; JSON values.
      sizes: how many steps each solution has.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], sizes: Sequence[int]) -> None:
        self.scores: dict[int, Scores] = {}
        self.reward_tokens = 0
        self._sizes = sizes
        super().__init__(
            path, noun="of an evaluation", elsewhere="name another --out",
            settings={"format": FORMAT, **settings},
        )  # fmt: skip

    def take(self, row: Any) -> None:
        """Keep the scores of a line."""
        number = row["case"]
        if not isinstance(number, int) or not 0 <= number < len(self._sizes):
            raise ValueError(f"case {number!r}")
        if len(row["probs"]) != self._sizes[number]:
            raise ValueError(f"{len(row['probs'])} scores for {self._sizes[number]} steps")
        self.scores[number] = tuple(StepScore(*probs) for probs in row["probs"])
        self.reward_tokens += row["tokens"]

    def add(self, number: int, case: Case, answer: Answer) -> None:
        """Append the scores of one solution."""
        rows = [[s.negative_prob, s.neutral_prob, s.positive_prob] for s in answer.items]
        tokens = answer.usage.reward_tokens
        self.append({"case": number, "id": case.id, "probs": rows, "tokens": tokens})
        self.scores[number] = answer.items
        self.reward_tokens += tokens


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
