"""A bench of programs that read standard input, from a file of rows to the report."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_main import call

POLICY = """
LAST = ("print(a - b)", "print(a + b)")

def policy(question, steps, seed):
    return ("a, b = map(int, input().split())\\n", LAST[seed % 2])[len(steps)]
"""


def test_searched_graded_and_rewarded(tmp_path: Path) -> None:
    row = {"question": "Add.", "stdin": ["1 2\n", "20 22\n"], "stdout": ["3", "42"]}
    (tmp_path / "sums.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
    (tmp_path / "mine.py").write_text(POLICY)
    code, out, err = call(
        "bench", "--out", str(tmp_path / "run"), "--task", str(tmp_path / "sums.jsonl"),
        "--policy", f"{tmp_path}/mine.py:policy", "--reward", "execution",
        "--strategies", "cot,best_of_n:samples=12", "--json",
    )  # fmt: skip
    assert code == 0, err
    report = json.loads(out)
    assert report["problems"] == 2
    cot, best_of_n = ((row["correct"], row["total"]) for row in report["rows"])
    assert best_of_n == (2, 2)  # twelve draws of two programs, told apart by running them
    assert cot[0] < 2
