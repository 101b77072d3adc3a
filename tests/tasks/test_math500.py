from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from stepnav.answers.canonical import canonical
from stepnav.answers.equal import AnswerChecker
from stepnav.core.errors import DataError
from stepnav.core.records import Problem
from stepnav.tasks.mathematics import math500

DATA = Path(__file__).parents[3] / "shared" / "data" / "math"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the MATH files are not at {DATA}")


def test_grade_takes_solutions_and_answers() -> None:
    problem = Problem("math500-test-0", "How much?", r"\frac{1}{\sqrt{3}}")
    with AnswerChecker() as checker:
        solution = r"We get \boxed{\frac{\sqrt{3}}{3}}."
        assert math500.grade(problem, solution, checker=checker) == "equal"
        assert math500.grade(problem, r"\frac{\sqrt{3}}{3}", checker=checker) == "equal"
        assert math500.grade(problem, r"\boxed{\sqrt{3}}", checker=checker) == "different"
        assert math500.grade(problem, None, checker=checker) == "different"


@pytest.mark.parametrize(
    ("text", "answer", "verdict"),
    [
        ("\\boxed{7}\n#### Step 2\nDone.", "7", "equal"),
        ("#### Step 1\nwe get $x$\n#### Step 2\nso \\boxed{7} follows", "7", "equal"),
        ("\\boxed{7}\n#### 8", "7", "equal"),
        ("#### 8\nHence the answer is 7.", "7", "equal"),
        (r"\boxed{8\pi}", r"8\pi\text{ cm}", "equal"),
        (r"\boxed{5\text{ m}}", r"5\text{ cm}", "different"),
        ("No solution", r"\text{No solution}", "equal"),
        (r"\text{No solution}", r"\emptyset", "equal"),
        ("all real numbers", r"(-\infty,\infty)", "equal"),
        ("5 square centimeters", r"5\text{ cm}^2", "equal"),
        (r"The answer is \frac{3}{4}.", "0.75", "equal"),
        ("The answer is $x=5$.", "5", "equal"),
        ("There are 5 of them, 3 more.", "3", "equal"),
    ],
)
def test_boxes_bare_answers_and_headings(text: str, answer: str, verdict: str) -> None:
    problem = Problem("math500-test-0", "How much?", answer)
    assert math500.grade(problem, text) == verdict


def test_a_heading_ends_no_solution() -> None:
    assert not re.search(math500.ANSWER_PATTERN, "#### Step 2")
    assert re.search(math500.ANSWER_PATTERN, r"so \boxed{2}")


def test_levels_are_spelled_one_way(tmp_path: Path) -> None:
    rows = [
        {"problem": "a", "solution": "b", "answer": "1", "subject": "Algebra", "level": 2},
        {"problem": "a", "solution": "b", "answer": "1", "type": "Algebra", "level": "Level 2"},
    ]
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = math500.load(path=path)
    assert first.metadata == second.metadata


def test_a_file_of_test_problems_is_no_train_split(tmp_path: Path) -> None:
    row = {"problem": "a", "solution": "b", "answer": "1", "subject": "Algebra", "level": 2}
    path = tmp_path / "math500.jsonl"
    rows = [{**row, "unique_id": f"test/algebra/{number}.json"} for number in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(math500.load("test", path=path)) == 3
    with pytest.raises(DataError, match="all its problems are MATH's test problems"):
        math500.load("train", 1, path=path)
    with path.open("a") as file:  # PRM800K's train split holds problems of both
        file.write(json.dumps({**row, "unique_id": "train/algebra/1.json"}) + "\n")
    assert len(math500.load("train", 1, path=path)) == 1


def test_votes_join_spellings_and_grades_see_what_was_written() -> None:
    task = math500.make_task("process")
    line = Problem("math500-test-0", "Which line?", "y = 2x + 1")
    extract = task.extractor(line)
    texts = (r"so \boxed{y=2x+1}", r"\boxed{2x + 1}", r"thus $\boxed{y = 2x+1}$", r"\boxed{2x-1}")
    answers = [extract(text) for text in texts]
    assert answers == ["y=2x+1"] * 3 + ["2x-1"]
    assert [task.grade(line, answer) for answer in answers] == [True] * 3 + [False]
    odd = Problem("math500-test-1", "Even, odd or neither?", r"\text{odd}")
    assert task.grade(odd, task.extractor(odd)(r"It is \boxed{\text{odd}}.")) is True
    assert task.extractor(odd)("1,400") == "1,400"  # another search begins anew


@pytest.mark.realdata
@needs_data
def test_reference_solutions_and_answers_grade_themselves_equal() -> None:
    problems = math500.load("test", path=DATA)
    assert len(problems) == 500
    with AnswerChecker() as checker:
        for problem in problems:
            for text in (problem.metadata["solution"], problem.answer):
                assert math500.grade(problem, text, checker=checker) == "equal", problem.id


@pytest.mark.realdata
@needs_data
def test_canonical_answers_are_stable_and_mean_the_same() -> None:
    problems = math500.load("train", path=DATA / "train12k.jsonl.gz")
    answers = {problem.answer for problem in problems + math500.load("test", path=DATA)} - {None}
    assert len(answers) > 4000
    assert [a for a in answers if canonical(canonical(a)) != canonical(a)] == []
    shapes = [a for a in sorted(answers) if "matrix" in a or "cup" in a or "cdot" in a]
    with AnswerChecker() as checker:
        for answer in shapes[::8][:15]:
            assert checker.pool.compare(canonical(answer), answer) == "equal", answer


@pytest.mark.realdata
@needs_data
def test_an_answer_to_another_problem_is_rarely_equal() -> None:
    problems = math500.load("test", 60, path=DATA)
    with AnswerChecker() as checker:
        pairs = [(a.answer, str(b.answer)) for a, b in pairwise(problems)]
        verdicts = checker.compare_many(pairs)
    assert "timeout" not in verdicts
    assert verdicts.count("equal") <= 3


@pytest.mark.realdata
@needs_data
def test_math500_itself_is_no_train_split() -> None:
    with pytest.raises(DataError, match="no train split"):
        math500.load("train", 5, path=DATA / "math500.jsonl.gz")
