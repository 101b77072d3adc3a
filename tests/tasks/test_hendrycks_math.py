"""MATH in its published forms: a folder of files, and JSON lines of either split or both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepnav import build
from stepnav.core.errors import DataError
from stepnav.files.rows import every_row

DATA = Path(__file__).parents[3] / "shared" / "data" / "math"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the MATH files are not at {DATA}")

OFFICIAL = {
    "problem": "What is $1+1$?", "level": "Level 1", "type": "Algebra",
    "solution": "It is not $\\boxed{3}$ but $\\boxed{\\frac{4}{2}}$.",
}  # fmt: skip


def test_the_official_folder(tmp_path: Path) -> None:
    for split, subject, number in (
        ("train", "algebra", 7),
        ("test", "algebra", 1),
        ("test", "b", 2),
    ):
        place = tmp_path / split / subject / f"{number}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(OFFICIAL))
    task = build.load_task("math")
    (problem,) = task.load("train", None, 0, tmp_path)
    assert (problem.id, problem.answer) == ("math-train-0", "\\frac{4}{2}")
    assert (problem.metadata["level"], problem.metadata["subject"]) == ("1", "Algebra")
    assert len(task.load("test", None, 0, tmp_path)) == 2
    assert task.grade(problem, "2") is True
    assert task.grade(problem, task.extract(OFFICIAL["solution"])) is True
    assert task.grade(problem, "3") is False
    (tmp_path / "test" / "b" / "2.json").write_text("{")
    with pytest.raises(DataError, match=r"2\.json: not valid JSON"):
        task.load("test", None, 0, tmp_path)


def test_rows_say_their_split(tmp_path: Path) -> None:
    path = tmp_path / "math.jsonl"
    rows = [
        {**OFFICIAL, "orig_split": "train"},
        {**OFFICIAL, "orig_split": "test"},
        {**OFFICIAL, "unique_id": "test/algebra/1.json", "answer": "2"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = build.load_task("math")
    assert [p.id for p in task.load("train", None, 0, path)] == ["math-train-0"]
    assert [p.id for p in task.load("test", None, 0, path)] == ["math-test-1", "math-test-2"]
    assert len(task.load("test", 1, 0, path)) == 1
    path.write_text(json.dumps(rows[2]))
    with pytest.raises(DataError, match=r"holds no problem of MATH's train split"):
        task.load("train", None, 0, path)


@pytest.mark.realdata
@needs_data
def test_all_12500_answers_are_read_from_their_solutions_and_right(tmp_path: Path) -> None:
    task = build.load_task("math")
    given, bare = [], tmp_path / "bare.jsonl"
    with bare.open("w") as file:
        for name in ("train12k", "math500"):
            for line in every_row(DATA / f"{name}.jsonl.gz"):
                row = dict(line.fields)
                given.append(row.pop("answer").strip())
                split = row.get("orig_split", "test")
                file.write(json.dumps({**row, "orig_split": split}) + "\n")
    problems = task.load("train", None, 0, bare) + task.load("test", None, 0, bare)
    assert len(problems) == 12500
    assert sum(p.id.startswith("math-train") for p in problems) == 7500
    by_row = sorted(problems, key=lambda problem: int(problem.id.rpartition("-")[2]))
    unread = [p.id for p, answer in zip(by_row, given) if answer and p.answer is None]
    other = [
        (p.id, p.answer, answer)
        for p, answer in zip(by_row, given)
        if answer and p.answer != answer and task.grade(p, answer) is not True
    ]
    wrong = [
        p.id
        for p in problems
        if p.answer and not task.grade(p, task.extract(p.metadata["solution"]))
    ]
    assert (unread, other, wrong) == ([], [], [])
