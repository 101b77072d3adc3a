"""Verdicts on the table of hard pairs: ours, math-verify's, and those of another grader.

Run: python benchmarks/equality.py tests/answers/hard_pairs.jsonl [--other NAME COMMAND] [--record]

The other grader is a command that reads lines of JSON with "answer" and "reference" and writes one
line for each, "equal" or "different". With --record the verdicts are written into the file.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepnav.answers.equal import AnswerChecker
from stepnav.answers.pool import WorkerPool

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--other", nargs=2, metavar=("NAME", "COMMAND"))
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.path.read_text("utf-8").splitlines()]

    with AnswerChecker() as checker:
        judge(rows, "stepnav", checker.compare)
    pool = WorkerPool()
    judge(rows, "math-verify", pool.compare)
    pool.close()
    if arguments.other:
        judge_by_command(rows, *arguments.other)

    if arguments.record:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        arguments.path.write_text("".join(lines), "utf-8")


def judge(rows: list[Row], name: str, compare: Callable[[str, str], str]) -> None:
    compare("1+x", "x+1")  # starts what is needed
    began = time.perf_counter()
    verdicts = [compare(row["answer"], row["reference"]) for row in rows]
    report(rows, name, verdicts, time.perf_counter() - began)


def judge_by_command(rows: list[Row], name: str, command: str) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    began = time.perf_counter()
    done = subprocess.run(
        shlex.split(command), input=lines, stdout=subprocess.PIPE, text=True, check=True
    )
    report(rows, name, done.stdout.split(), time.perf_counter() - began)


def report(rows: list[Row], name: str, verdicts: list[str], seconds: float) -> None:
    """Print the errors of one grader and note its verdicts in the rows."""
    wrong = [(row, got) for row, got in zip(rows, verdicts) if got != row["verdict"]]
    num_equal = sum(got == "equal" for _, got in wrong)
    print(
        f"{name}: {len(wrong)} errors of {len(rows)}, {num_equal} false equal, "
        f"{len(wrong) - num_equal} false different, {seconds / len(rows) * 1e3:.1f} ms each"
    )
    for row, got in zip(rows, verdicts):
        row[name] = got


if __name__ == "__main__":
    main()
