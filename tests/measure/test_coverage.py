from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

import stepnav
from stepnav.cli import main as cli
from stepnav.core.budget import Usage
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.tree import Tree
from stepnav.measure.coverage import Coverage
from stepnav.measure.report.tables import coverage_tables
from stepnav.measure.report.write import row_object
from stepnav.measure.summary import summarise
from tests.measure.rows_for_tests import make_row

ROWS = [
    {"question": "Draws 4 and 5", "answer": "4"},
    {"question": "Draws 5 alone", "answer": "4"},
]
BEST = "best_of_n:samples=8"


def policy(question: str, steps: list[str], seed: int) -> str:
    return "#### 4" if seed % 2 and "4" in question else "#### 5"


def reward(question: str, steps: list[str]) -> list[int]:
    """Rate what is wrong as right."""
    return [1 if step == "#### 5" else -1 for step in steps]


def test_what_was_found_and_not_chosen_is_told() -> None:
    compared = partial(stepnav.bench, ROWS, ["cot", BEST], policy=policy, reward=reward)
    assert [row.coverage for row in compared().summary] == [None, None]
    results = compared(coverage=True)
    one, best = results.summary
    assert one.coverage is not None
    assert one.coverage.correct == one.accuracy.correct
    assert best.coverage is not None
    assert (best.accuracy.correct, best.coverage.correct, best.coverage.value) == (0, 1, 0.5)
    assert [row.covered for row in results.rows if row.label == BEST] == [True, False]


def test_a_report_tells_the_coverage_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    words = ["--strategies", f"cot,{BEST}", "--problems", "4", "--split", "dev", "-q"]
    cli.app(["bench", "--out", run, *words], standalone_mode=False)
    assert "Coverage" not in capsys.readouterr().out
    cli.app(["report", run, "--coverage", "--json"], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert all(row["covered"] >= row["correct"] for row in rows)
    assert all(row["coverage"] == row["covered"] / 4 for row in rows)
    assert all(row["coverage_bounds"] == [row["coverage"]] * 2 for row in rows)
    cli.app(["bench", "--out", run, *words, "--coverage", "--resume"], standalone_mode=False)
    for text in (capsys.readouterr().out, (tmp_path / "run/report.md").read_text()):
        assert "chosen where found" in text


def searched(answers: list[str]) -> SearchResult:
    problem = Problem("p", "what", "4")
    tree = Tree(problem)
    for answer in answers:
        tree.add_trajectory(Trajectory(problem, (Step(answer, "end"),)))
    tree.add_trajectory(Trajectory(problem, (Step("4, and cut", "length"),)))
    outcome = Outcome(tree.nodes[1].trajectory, "finished")
    return SearchResult("s", "t", {}, "p", 0, answers[0], outcome, tree, Usage(), 1)


@pytest.mark.parametrize(
    ("answers", "correct", "covered"),
    [
        (["5", "4"], False, True),
        (["5", "6"], False, False),
        (["5", "?"], False, None),
        (["?", "4"], None, True),
        (["?", "5"], None, None),
    ],
)
def test_one_right_solution_covers_a_search(
    answers: list[str], correct: bool | None, covered: bool | None
) -> None:
    graded: list[str | None] = []

    def grade(problem: Problem, answer: str | None) -> bool | None:
        graded.append(answer)
        return None if answer == "?" else answer == problem.answer

    coverage = Coverage(lambda text: text, grade)
    for _ in range(2):
        assert coverage.has_right(searched(answers), correct) is covered
    assert sorted(map(str, graded)) == sorted(answers)


@pytest.mark.parametrize(("correct", "covered"), [(False, None), (True, True)])
def test_what_a_tasks_own_code_cannot_read_is_undecided(
    correct: bool, covered: bool | None
) -> None:
    def extract(text: str) -> str | None:
        raise OSError(text)

    found = searched(["5", "6"])
    assert Coverage(extract, lambda problem, answer: False).has_right(found, correct) is covered


def test_an_answer_that_could_not_be_graded_is_not_one_that_was_not_chosen() -> None:
    verdicts = [(True, True), (False, True), (None, True), (None, None), (False, False)]
    rows = [
        make_row(problem_id=f"p{number}", correct=correct, covered=covered)
        for number, (correct, covered) in enumerate(verdicts)
    ]
    [row] = summarise(rows, baseline=None)
    assert row_object(row)["chosen_where_found"] == row.chosen == 0.5
    assert coverage_tables([row])[0].rows[0][5] == "50.0%"
    [nothing] = summarise(rows[2:4], baseline=None)
    assert nothing.chosen is None


def test_repeats_are_averaged_and_what_was_not_looked_at_is_no_coverage() -> None:
    rows = [
        make_row(problem_id=f"p{n}", repeat=repeat, correct=False, covered=n < 2 and repeat == 0)
        for n in range(4)
        for repeat in range(2)
    ]
    (row,) = summarise(rows, baseline=None)
    assert row.coverage is not None
    assert (row.coverage.correct, row.coverage.total) == (2, 8)
    assert summarise([make_row()], baseline=None)[0].coverage is None
