"""Data of recipes/gsm8k_gpu.sh and recipes/gsm8k_cpu.sh.

    python recipes/gsm8k_data.py split TRAIN.jsonl.gz OUT NUM_DEV [NUM_TRAIN]
    python recipes/gsm8k_data.py labels ROLLOUTS.jsonl OUT
    python recipes/gsm8k_data.py matched ROLLOUTS.jsonl ROWS.jsonl OUT.jsonl

`split` writes dev.jsonl and train.jsonl: GSM8K's rows without the calculator's marks (<<2+3=5>>), a
step being a line; what NUM_TRAIN leaves over is rest.jsonl. `labels` makes of soft labels the hard
ones (right if some completion of this or of a longer prefix was) and the outcomes (the last step's
label alone). `matched` labels rollouts of outcomes by whether each step's result is one of a right
solution's, and puts the reference among ROWS before them.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from stepnav.answers.canonical import parse_number
from stepnav.answers.extract import last_number

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


def matched(rollouts: Path, references: Path, out: Path) -> None:
    """Write rollouts labelled by their intermediate results, after the reference of each problem.

    Source: DiVeRSe (Li et al. 2023, arXiv 2206.02336, section 3.3): a step is right if its result
    is one of a right solution's. Differs in: a step without a number is not labelled, nor what
    comes after the first wrong one.
    """
    answers = {row["question"]: row["answer"] for row in read(references)}
    drawn: dict[str, list[dict[str, Any]]] = {}
    for row in read(rollouts):
        drawn.setdefault(row["prompt"], []).append(row)
    rows: list[dict[str, Any]] = []
    for prompt, solutions in drawn.items():
        right = [answers[prompt].splitlines(keepends=True)]
        right += [row["completions"] for row in solutions if row["labels"][-1] == 1]
        results = {result(step) for steps in right for step in steps}
        for steps in [right[0], *(row["completions"] for row in solutions)]:
            labels = all_right(steps) if steps in right else by_results(steps, results)
            row = {**solutions[0], "completions": steps, "labels": labels}
            rows.append({**row, "label_kind": "correct"})
    write(out, rows)


def all_right(steps: list[str]) -> list[bool | None]:
    """Return the labels of a right solution: none of a blank step."""
    return [True if step.strip() else None for step in steps]


def by_results(steps: list[str], results: set[Fraction | None]) -> list[bool | None]:
    """Return whether the steps of a wrong solution come to one of the results; its end does not."""
    labels: list[bool | None] = []
    for number, step in enumerate(steps, 1):
        found = result(step)
        is_right = number < len(steps) and found in results
        labels.append(None if False in labels or found is None else is_right)
    return labels


def result(step: str) -> Fraction | None:
    """Return the last number of a step; None if it has none."""
    found = last_number(step)
    return None if found is None else parse_number(found)


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
        case ["matched", rollouts, references, out]:
            matched(Path(rollouts), Path(references), Path(out))
        case _:
            sys.exit(__doc__)
