"""Data of recipes/gsm8k_gpu.sh and recipes/gsm8k_cpu.sh.

    python recipes/gsm8k_data.py split TRAIN.jsonl.gz OUT NUM_DEV [NUM_TRAIN]
    python recipes/gsm8k_data.py labels ROLLOUTS.jsonl OUT
    python recipes/gsm8k_data.py values ROLLOUTS.jsonl ROWS.jsonl OUT.jsonl

`split` writes dev.jsonl and train.jsonl: GSM8K's rows without the calculator's marks (<<2+3=5>>), a
step being a line; what NUM_TRAIN leaves over is rest.jsonl. `labels` makes of soft labels the hard
ones (right if some completion of this or of a longer prefix was) and the outcomes (the last step's
label alone). `values` puts each problem's reference, of value 1 at every step, before its rollouts.
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


def split(source: Path, out: Path, num_dev: int, num_train: int | None = None) -> None:
    """Write the parts of the train split."""
    with gzip.open(source, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [{**row, "answer": CALCULATOR.sub("", row["answer"])} for row in rows]
    random.Random(0).shuffle(rows)
    write(out / "dev.jsonl", rows[:num_dev])
    end = len(rows) if num_train is None else num_dev + num_train
    write(out / "train.jsonl", rows[num_dev:end])
    if rows[end:]:
        write(out / "rest.jsonl", rows[end:])


def labels(source: Path, out: Path) -> None:
    """Write hard labels and outcomes of soft ones."""
    rows = read(source)
    for name, of in (("hard", hard), ("outcomes", outcome)):
        made = [{**row, "labels": of(row["labels"]), "label_kind": "correct"} for row in rows]
        write(out / f"{source.parent.name}-{name}.jsonl", made)


def values(rollouts: Path, references: Path, out: Path) -> None:
    """Write rollouts with the reference of each of their problems."""
    answers = {row["question"]: row["answer"] for row in read(references)}
    rows: list[dict[str, Any]] = []
    for row in read(rollouts):
        if answer := answers.pop(row["prompt"], None):
            steps = answer.splitlines(keepends=True)
            rows.append({**row, "completions": steps, "labels": [1.0] * len(steps)})
        rows.append(row)
    write(out, rows)


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


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["split", source, out, *sizes] if 1 <= len(sizes) <= 2:
            split(Path(source), Path(out), *map(int, sizes))
        case ["labels", source, out]:
            labels(Path(source), Path(out))
        case ["values", rollouts, references, out]:
            values(Path(rollouts), Path(references), Path(out))
        case _:
            sys.exit(__doc__)
