"""How much each label counts in training, so that no shortcut tells right from wrong.

- Positives: every mutant of a program repeats the program's first steps. A prefix that stands in n
  records weighs 1/n in each, so that it counts once.
- Negatives and neutrals: some operators have a hundred times the mutants of others, and early steps
  more than late ones. Each label weighs 1 / sqrt(labels of its operator * labels at its step
  index); the square root leaves the common ones more common, and no rare one is blown up.
- By step index: positives are scaled so that at each index they weigh as much as negatives and
  neutrals together; else the index alone would tell the label.

Within a split the weights of all labels have mean 1, before those above `MAX_WEIGHT` are cut.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from stepnav.mutate.records import MutationRecord

LAST_INDEX = 9
"""Steps from this index on are counted together."""

MAX_WEIGHT = 10.0
"""No label counts more than so many times the mean."""

Weights = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Labels of a split: +1 by prefix, the others by operator and by step index."""

    prefixes: Counter[bytes]
    operators: Counter[str]
    indices: Counter[int]


def weigh(records: Sequence[MutationRecord]) -> list[Weights]:
    """Return per record the weight of each step, None where it is masked.

    Args:
      records: those of one split, as training sees them.
    """
    counts = _count(records)
    weights = [_first_weights(record, counts) for record in records]
    _scale_positives(records, weights)
    total = sum(weight or 0.0 for row in weights for weight in row)
    number = sum(weight is not None for row in weights for weight in row)
    scale = number / total if total else 0.0
    return [
        tuple(
            None if weight is None else round(min(MAX_WEIGHT, weight * scale), 6) for weight in row
        )
        for row in weights
    ]


def prefixes(record: MutationRecord) -> list[bytes]:
    """Return per step what identifies the text up to its end."""
    digest = blake2b(record.prompt.encode(errors="surrogatepass"), digest_size=16)
    found = []
    for step in record.completions:
        digest.update(b"\x00" + step.encode(errors="surrogatepass"))
        found.append(digest.digest())
    return found


def _count(records: Sequence[MutationRecord]) -> _Counts:
    counts = _Counts(Counter(), Counter(), Counter())
    for record in records:
        for index, (label, prefix) in enumerate(zip(record.labels, prefixes(record))):
            if label == 1:
                counts.prefixes[prefix] += 1
            elif label is not None:
                counts.operators[record.operator] += 1
                counts.indices[min(index, LAST_INDEX)] += 1
    return counts


def _first_weights(record: MutationRecord, counts: _Counts) -> list[float | None]:
    """Return the weights before positives are scaled against the others."""
    operator = counts.operators[record.operator]
    row: list[float | None] = []
    for index, (label, prefix) in enumerate(zip(record.labels, prefixes(record))):
        if label is None:
            row.append(None)
        elif label == 1:
            row.append(1 / counts.prefixes[prefix])
        else:
            row.append((operator * counts.indices[min(index, LAST_INDEX)]) ** -0.5)
    return row


def _scale_positives(records: Sequence[MutationRecord], weights: list[list[float | None]]) -> None:
    """Scale positives at each step index to the weight of the other labels there."""
    sums: dict[tuple[int, bool], float] = defaultdict(float)
    for record, row in zip(records, weights):
        for index, (label, weight) in enumerate(zip(record.labels, row)):
            sums[min(index, LAST_INDEX), label == 1] += weight or 0.0
    others = sum(value for (_, is_positive), value in sums.items() if not is_positive)
    positives = sum(value for (_, is_positive), value in sums.items() if is_positive)
    for record, row in zip(records, weights):
        for index, label in enumerate(record.labels):
            weight = row[index]
            place = min(index, LAST_INDEX)
            if label == 1 and weight is not None:
                wanted = sums[place, False] or others * sums[place, True] / positives
                row[index] = weight * wanted / sums[place, True] if wanted else weight
