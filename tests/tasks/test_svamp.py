from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.core.records import Problem
from stepnav.tasks.mathematics import svamp

DATA = Path(__file__).parents[3] / "shared" / "data" / "svamp"
TASK = svamp.make_task("process")


def grade(problem: Problem, text: str | None) -> str:
    return "equal" if TASK.grade(problem, text) else "different"


def test_grade() -> None:
    problem = Problem("svamp-test-0", "How many?", "2.5")
    assert grade(problem, "10 / 4 = 2.50") == "equal"
    assert grade(problem, "5/2") == "equal"
    assert grade(problem, "25") == "different"
    assert grade(problem, None) == "different"


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the SVAMP file is not at {DATA}")
def test_every_reference_equation_grades_equal() -> None:
    problems = svamp.load("test", path=DATA)
    assert len(problems) == 1000
    wrong = []
    for problem in problems:
        assert grade(problem, problem.answer) == "equal"
        value = eval(problem.metadata["equation"], {"__builtins__": {}})
        if grade(problem, f"The answer is {value:.9g}") != "equal":
            wrong.append(problem.id)
    assert len(wrong) <= 20, wrong
