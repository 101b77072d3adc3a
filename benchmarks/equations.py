"""How often a false equation is a wrong step: the rule `equations` against people's labels.

    python benchmarks/equations.py ../shared/data
    python benchmarks/equations.py ../shared/data --save docs/results/equations.json

Reads gsm8k/train.jsonl.gz and example_model_solutions.jsonl.gz, prm800k/phase1_train.jsonl.gz and
processbench/gsm8k.jsonl.gz in the folder. `--save` also writes the table in docs/reward-models.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from publish import ROOT, replace_block, table

from stepnav.answers.equations import equations

DOCUMENT = ROOT / "docs" / "reward-models.md"
MARKS = re.compile(r"<<[^<>\n]*>>")
"""GSM8K's calculator marks, each an equation too: left out."""


@dataclass(slots=True)
class Count:
    """What was found in texts of one kind.

    Attributes:
      texts: how many there are.
      stating: those with an equation that can be read.
      false: those with a false one.
    """

    texts: int = 0
    stating: int = 0
    false: int = 0

    def add(self, text: str) -> None:
        """Count one more text."""
        found = equations(text)
        self.texts += 1
        self.stating += bool(found)
        self.false += not all(equation.holds for equation in found)


def references(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for line in MARKS.sub("", row["answer"]).splitlines():
        yield "GSM8K train, lines of the references", line


def solutions(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for model in row.values():
        if isinstance(model, dict):
            verdict = "right" if model["is_correct"] else "wrong"
            text = MARKS.sub("", model["solution"])
            yield f"GSM8K test, solutions of four models, {verdict} answer", text


def rated(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for step in row["label"]["steps"]:
        for completion in step["completions"] or []:
            if completion["rating"] is not None:
                rating = f"{completion['rating']:+d}".replace("+0", "0")
                yield f"PRM800K phase 1, steps rated {rating}", completion["text"]


def processbench(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    first = row["label"] if row["label"] >= 0 else len(row["steps"])
    for number, step in enumerate(row["steps"][: first + 1]):
        kind = "first wrong" if number == first else "right"
        yield f"ProcessBench GSM8K, {kind} steps", step


FILES: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, str]]]] = {
    "gsm8k/train": references,
    "gsm8k/example_model_solutions": solutions,
    "prm800k/phase1_train": rated,
    "processbench/gsm8k": processbench,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--save", type=Path, help="a JSON file of the counts")
    args = parser.parse_args()
    counts: dict[str, Count] = {}
    began, characters = time.perf_counter(), 0
    for name, read in FILES.items():
        with gzip.open(args.data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                for kind, text in read(json.loads(line)):
                    counts.setdefault(kind, Count()).add(text)
                    characters += len(text)
        print(f"{name}: read", flush=True)
    rows = [[kind, *(f"{n:,}" for n in asdict(counts[kind]).values())] for kind in sorted(counts)]
    text = table(["texts", "number", "state an equation", "a false one"], rows)
    print(f"{text}\n{characters / (time.perf_counter() - began) / 1e6:.1f} million characters a s")
    if args.save:
        found = {kind: asdict(count) for kind, count in sorted(counts.items())}
        args.save.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        replace_block(DOCUMENT, "equations", text)


if __name__ == "__main__":
    main()
