"""Tokenised training examples and the deterministic, length-bucketed batches drawn from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stepnav.files.atomic import write_with

IGNORED = -100
"""Target of a token that no loss is computed for, as in PyTorch's cross-entropy."""
BUCKET_TOKENS = 32
"""Batches are padded to a multiple of this, so that few shapes are compiled."""
SORT_WINDOW = 64
"""Examples are sorted by length within this many batches, so that order stays close to random."""

PACK_WINDOW = 4096
"""Examples that are packed together."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenExamples:
    """Examples of unequal length, stored end to end.

    Attributes:
      ids: all tokens, one example after the other.
      targets: what the loss of each token needs (its own meaning per trainer), `IGNORED` where
        there is none.
      starts: where each example starts; one more entry than there are examples.
    """

    ids: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]
    starts: Ints

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> TokenExamples:
        """Build from (tokens, targets) pairs of equal length."""
        ids: list[npt.NDArray[np.int32]] = []
        targets: list[npt.NDArray[np.int32]] = []
        for row_ids, row_targets in rows:
            ids.append(np.asarray(row_ids, np.int32))
            targets.append(np.asarray(row_targets, np.int32))
        starts = np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int64)
        empty = np.zeros(0, np.int32)
        return cls(np.concatenate([empty, *ids]), np.concatenate([empty, *targets]), starts)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.starts) - 1

    def row(self, index: int) -> tuple[list[int], list[int]]:
        """Return the tokens and the targets of one example."""
        place = slice(int(self.starts[index]), int(self.starts[index + 1]))
        return self.ids[place].tolist(), self.targets[place].tolist()

    @property
    def lengths(self) -> Ints:
        """Tokens of each example."""
        return np.diff(self.starts)

    def packed(self, width: int) -> TokenExamples:
        """Return rows of several examples, as full as they get and at most this wide.

        A longer example is left out. So are the few rows that would make narrower batches, each of
        which is compiled. Best fit, longest first, within windows of `PACK_WINDOW` examples. Where
        attention stays within an example (`lm_loss`), losses are those of the single examples, and
        next to nothing is padding.
        """
        rows: list[list[int]] = []
        for start in range(0, len(self), PACK_WINDOW):
            rows += _best_fit(self.lengths[start : start + PACK_WINDOW], width, start)
        starts, targets = self.starts, self.targets.copy()
        targets[starts[:-1]] = IGNORED  # nothing before an example tells that it begins
        joined = (
            (
                np.concatenate([self.ids[starts[at] : starts[at + 1]] for at in row]),
                np.concatenate([targets[starts[at] : starts[at + 1]] for at in row]),
            )
            for row in rows
            if bucket_width(int(self.lengths[row].sum())) >= width
        )
        return TokenExamples.from_rows(joined)  # type: ignore[arg-type]

    def save(self, path: Path) -> None:
        """Write to one `.npz` file, whole or not at all."""
        write_with(
            path,
            lambda place: np.savez(place, ids=self.ids, targets=self.targets, starts=self.starts),
        )

    @classmethod
    def load(cls, path: Path) -> TokenExamples:
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(arrays["ids"], arrays["targets"], arrays["starts"])

    def padded(self, rows: Ints, *, pad_id: int, batch_tokens: int) -> tuple[Ints, Ints]:
        """Return tokens and targets of some examples, right-padded to a common bucket.

        Empty rows fill a small batch up, so that each width has one shape and is compiled once.
        Shapes: both (B, T), T a multiple of `BUCKET_TOKENS` and B the rows of T tokens that fit
        `batch_tokens`.
        """
        lengths = self.lengths[rows]
        width = bucket_width(int(lengths.max()))
        height = max(len(rows), batch_tokens // width)
        ids = np.full((height, width), pad_id, np.int64)
        targets = np.full((height, width), IGNORED, np.int64)
        for position, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            start = self.starts[row]
            ids[position, :length] = self.ids[start : start + length]
            targets[position, :length] = self.targets[start : start + length]
        return ids, targets


def _best_fit(lengths: Ints, width: int, first: int) -> list[list[int]]:
    """Return example numbers row by row; each example goes where it leaves the least room."""
    rows: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    for at in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[at])
        if length > width:
            continue
        room = next((room for room in range(length, width) if by_room.get(room)), None)
        if room is None:
            rows.append([])
            number, room = len(rows) - 1, width
        else:
            number = by_room[room].pop()
        rows[number].append(first + at)
        by_room.setdefault(room - length, []).append(number)
    return rows


def bucket_width(length: int) -> int:
    """Return the padded length of a batch whose longest example has this length."""
    return -(-length // BUCKET_TOKENS) * BUCKET_TOKENS


def plan_batches(lengths: Ints, *, batch_tokens: int, seed: int) -> list[Ints]:
    """Return one epoch's batches as arrays of example numbers.

    Every example occurs once. Lengths in a batch are alike, and rows times padded length stays
    within `batch_tokens` (a longer single example makes a batch of its own).
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    mean_length = max(1, int(lengths.mean())) if len(lengths) else 1
    window = max(1, SORT_WINDOW * batch_tokens // mean_length)
    batches: list[Ints] = []
    for start in range(0, len(order), window):
        chunk = order[start : start + window]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches += _split_sorted(chunk, lengths, batch_tokens)
    return [batches[number] for number in rng.permutation(len(batches))]


def _split_sorted(chunk: Ints, lengths: Ints, batch_tokens: int) -> list[Ints]:
    """Cut examples in order of length, longest first, into batches that fit."""
    batches: list[Ints] = []
    end = len(chunk)
    while end > 0:
        width = bucket_width(int(lengths[chunk[end - 1]]))
        rows = max(1, batch_tokens // width)
        batches.append(chunk[max(0, end - rows) : end])
        end -= rows
    return batches
