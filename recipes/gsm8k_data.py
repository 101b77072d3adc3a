"""Data of recipes/gsm8k_gpu.sh.

    python recipes/gsm8k_data.py split TRAIN.jsonl.gz OUT NUM_DEV
    python recipes/gsm8k_data.py labels ROLLOUTS.jsonl OUT

`split` writes train.jsonl and dev.jsonl: GSM8K's rows without the calculator's marks (<<2+3=5>>), a
step being a line. `labels` makes of soft labels the hard ones (right if some completion of this or
of a longer prefix was) and the outcomes (the last step's label alone).
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CALCULATOR = re.compile(r"<<[^<>\n]*>>")


def split(source: Path, out: Path, num_dev: int) -> None:
    """Write the two parts of the train split."""
    with gzip.open(source, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [{**row, "answer": CALCULATOR.sub("", row["answer"])} for row in rows]
    random.Random(0).shuffle(rows)
    write(out / "dev.jsonl", rows[:num_dev])
    write(out / "train.jsonl", rows[num_dev:])


def labels(source: Path, out: Path) -> None:
    """Write hard labels and outcomes of soft ones."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    for name, of in (("hard", hard), ("outcomes", outcome)):
        made = [{**row, "labels": of(row["labels"]), "label_kind": "correct"} for row in rows]
        write(out / f"{source.parent.name}-{name}.jsonl", made)


def hard(shares: list[float | None]) -> list[bool | None]:
    """Return whether each step, or one after it, was completed to a right answer."""
    return [
        None if share is None else any(later for later in shares[at:])
        for at, share in enumerate(shares)
    ]


def outcome(shares: list[float | None]) -> list[bool | None]:
    """Return the last step's label; none for the others."""
    last = None if shares[-1] is None else shares[-1] > 0
    return [*[None] * (len(shares) - 1), last]


def write(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "split":
        split(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    elif len(sys.argv) == 4 and sys.argv[1] == "labels":
        labels(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(__doc__)
