"""Word problems in the formats in which they are published: read, graded, refused."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.core.errors import DataError
from stepnav.core.records import Problem
from stepnav.tasks.mathematics.number_problems import compare_floats, stated
from stepnav.tasks.own import own_task

Rows = list[dict[str, Any]]


def asdiv(answer: str, **more: Any) -> dict[str, Any]:
    return {
        "idx": 0, "body": "Ann has seven apples. She finds two.", "question": "How many has she?",
        "solution_type": "Addition", "answer": answer, "formula": "7+2=9", **more,
    }  # fmt: skip


def gsm_plus(answer: str, kind: str = "digit expansion") -> dict[str, Any]:
    return {
        "question": "How many are left?", "solution": f"10 - 3 = 7\n#### {answer}",
        "answer": answer, "perturbation_type": kind, "seed_question": "q", "seed_solution": "s",
        "seed_answer": "7",
    }  # fmt: skip


def hard(target: float) -> dict[str, Any]:
    return {"input": "How much is it?", "code": "def solution():\n    return 7", "target": target}


PUBLISHED: dict[str, list[tuple[dict[str, Any], str, str, str]]] = {
    # row, gold answer, a right ending, a wrong ending
    "asdiv": [
        (asdiv("9 (apples)"), "9", "#### 9 apples", "#### 8"),
        (asdiv("1,250"), "1250", "The answer is 1250.", "The answer is 1251."),
        (asdiv("12 (red); 5 (blue)"), "12; 5", "#### 12 red, 5 blue", "#### 5 red, 12 blue"),
        (asdiv("12 (red); 5 (blue)"), "12; 5", "So \\boxed{12, 5}.", "#### 12"),
        (asdiv("Hermione"), "Hermione", "#### Hermione", "#### Ron"),
        (asdiv("yes"), "yes", "The answer is Yes.", "The answer is no."),
        (asdiv("5:3"), "5:3", "#### 5:3", "#### 3:5"),
        (asdiv("11:50 (a.m.)"), "11:50", "#### 11:50 a.m.", "#### 11:05 a.m."),
        (asdiv("0.33"), "0.33", "#### 1 / 3 = 0.3302", "#### 0.34"),
        (asdiv("18 (dollars)"), "18", "#### 18 dollars every 2 days", "#### 2 dollars"),
        (asdiv("2 1/3"), "7/3", "\\boxed{2\\frac{1}{3}}", "\\boxed{\\frac{1}{3}}"),
        (asdiv("7/3"), "7/3", "#### \\frac73", "#### \\frac37"),
        (asdiv("1/2"), "0.5", "So \\boxed{\\frac12}.", "So \\boxed{12}."),
        (asdiv("5 (red); 3 (blue)"), "5; 3", "#### x = 5, y = 3", "#### x = 3, y = 5"),
        (asdiv("5 (red); 3 (blue)"), "5; 3", "#### red = 5, blue = 3", "#### red = 5"),
        (asdiv("5 (red); 3 (blue)"), "5; 3", "\\boxed{x = 5, y = 3}", "\\boxed{x = 5, y = 4}"),
        (asdiv("5 (red); 3 (blue)"), "5; 3",
         "#### red = 2 + 3 = 5 \\text{ and } blue = 3", "#### red = 2 + 3 = 5, blue = 4"),
        (asdiv("5 (red); 3 (blue)"), "5; 3", "#### (x, y) = (5, 3)", "#### (x, y) = (3, 5)"),
        (asdiv("5 (red); 3 (blue)"), "5; 3", "\\boxed{(5,3)}", "\\boxed{(3,5)}"),
        (asdiv("5:3"), "5:3", "#### Ann : Bob = 5 : 3", "#### Ann : Bob = 3 : 5"),
        (asdiv("1/2; 1/4"), "1/2; 1/4", "\\boxed{\\frac{1}{2}, \\frac{1}{4}}", "\\boxed{1, 2}"),
        (asdiv("8"), "8", "#### apples = 5, total = 8", "#### total = 8, apples = 5"),
    ],
    "mawps": [
        ({"input": "How many?", "target": 7.0, "type": "singleeq", "idx": 3}, "7", "#### 7", "8"),
        ({"input": "How much?", "target": 0.3333333}, "1/3", "1 / 3 = 0.3333", "#### 0.33"),
        ({"question": "How many?", "result_float": -2.5}, "-2.5", "The answer is -2.5", "2.5"),
        ({"sQuestion": "How many?", "lSolutions": [4.0]}, "4", "#### 4", "#### 40"),
    ],
    "gsm-hard": [
        (hard(-9867630.0), "-9867630", "#### -9867630", "#### 9867630"),
        (hard(1.5e20), "150000000000000000000", "#### 1.5e+20", "#### 1.5e+19"),
        (hard(2300000.125), "2300000.125", "#### $2,300,000.1251", "#### 2300000.127"),
        (hard(1.2e-05), "0.000012", "#### 1.2e-05", "#### 0.1"),
    ],
    "gsm-symbolic": [
        (
            {"id": 7, "instance": i, "question": "How many?", "answer": f"It is {i}.\n#### {i}",
             "original_id": 1, "original_question": "q", "original_answer": "a", "canary": "c"},
            str(i), f"#### {i}", f"#### {i + 1}",
        )
        for i in range(3)
    ],
    "gsm-plus": [
        (gsm_plus("7"), "7", "10 - 3 = 7\n#### 7", "#### 8"),
        (gsm_plus("2/3"), "2/3", "#### 2/3", "#### 0.66"),
        (gsm_plus("None", "critical thinking"), "None", "#### None", "#### 7"),
        (gsm_plus("None", "critical thinking"), "None",
         "#### None, since 5 is missing", "#### None of the 5 is left, so 0"),
        (gsm_plus("None", "critical thinking"), "None",
         "#### None (3 prices are missing)", "#### 3 (none is missing)"),
        (gsm_plus("None", "critical thinking"), "None",
         "The answer is None because 3 apples are not priced.", "The answer is 3, none is left."),
        (gsm_plus("None", "critical thinking"), "None",
         "\\boxed{\\text{None, since 5 is missing}}", "\\boxed{5}, as none is missing"),
        (gsm_plus("None", "critical thinking"), "None",
         "#### There is not enough information about 3 prices", "#### 3"),
        (gsm_plus("None", "critical thinking"), "None",
         "The problem does not specify the 3 prices, so we cannot determine it.", "So 3."),
        (gsm_plus("None", "critical thinking"), "None", "\\boxed{None}", "None know.\n#### 3"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_gold_answers_are_read_and_graded(name: str, tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row, *_ in PUBLISHED[name]))
    task = build.load_task(name)
    problems = task.load("test", None, 0, path)
    assert len(problems) == len(PUBLISHED[name])
    for problem, (row, gold, right, wrong) in zip(problems, PUBLISHED[name]):
        assert near(problem.answer, gold), (row, problem.answer)
        assert problem.answer is not None
        for text, verdict in ((problem.answer, True), (right, True), (wrong, False)):
            found = task.extract(text)
            assert task.grade(problem, found) is verdict, (row, text, found)
            assert task.grade(problem, text) is verdict, (row, text)
            assert found is None or task.extract(found) == found  # votes count extracted answers
        solution = problem.metadata.get("solution")
        assert solution is None or task.grade(problem, task.extract(solution))
        assert task.grade(problem, None) is False


def near(answer: str | None, gold: str) -> bool:
    return answer == gold or compare_floats(answer, gold) == "equal"


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("asdiv", "body"), ("mawps", "input"), ("gsm-hard", "input"), ("gsm-symbolic", "answer"),
        ("gsm-plus", "answer"), ("math", "solution"), ("humaneval-plus", "task_id"),
        ("mbpp-plus", "test"),
    ],
)  # fmt: skip
def test_another_benchmarks_file_is_refused_in_a_line(
    name: str, missing: str, tmp_path: Path
) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps({"Body": "Ann has 3 hats.", "Question": "How many?", "Answer": 3}))
    with pytest.raises(DataError) as caught:
        build.load_task(name).load("test", None, 0, path)
    message = str(caught.value)
    assert f"line 1: no field '{missing}' for {name}; its fields are Body, Question" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "row", "field"),
    [
        ("asdiv", asdiv(" "), "answer"),
        ("mawps", {"input": "How many?", "target": "many"}, "target"),
        ("gsm-hard", hard(float("nan")), "target"),
        ("gsm-plus", gsm_plus("unclear"), "answer"),
        ("gsm-symbolic", {**PUBLISHED["gsm-symbolic"][0][0], "answer": "no mark"}, "answer"),
    ],
)
def test_a_broken_row_is_named(name: str, row: dict[str, Any], field: str, tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(DataError, match=f"f.jsonl, line 1: not a row of {name} .*'{field}'"):
        build.load_task(name).load("test", None, 0, path)


@pytest.mark.parametrize(
    ("name", "split", "asked"),
    [
        ("asdiv", "test", ("EleutherAI/asdiv", None, "validation")),
        ("gsm-hard", "test", ("reasoning-machines/gsm-hard", None, "train")),
        ("gsm-symbolic", "test", ("apple/GSM-Symbolic", "main", "test")),
        ("gsm-symbolic", "p2", ("apple/GSM-Symbolic", "p2", "test")),
        ("gsm-plus", "testmini", ("qintongli/GSM-Plus", None, "testmini")),
        ("mawps", "test", ("MU-NLPC/Calc-mawps", None, "test")),
    ],
)
def test_the_hub_is_asked_by_its_own_names(
    name: str, split: str, asked: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import types

    calls: list[tuple[Any, ...]] = []

    def load_dataset(repository: str, configuration: str | None, *, split: str) -> Rows:
        calls.append((repository, configuration, split))
        return [row for row, *_ in PUBLISHED[name]]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert len(build.load_task(name).load(split, 2, 0, None)) == 2
    assert calls == [asked]


def test_templates_of_gsm_symbolic_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row, *_ in PUBLISHED["gsm-symbolic"]))
    problems = build.load_task("gsm-symbolic").load("p1", None, 0, path)
    assert [p.metadata["instance"] for p in problems] == [0, 1, 2]
    assert {p.metadata["template"] for p in problems} == {7}


@pytest.mark.parametrize(
    ("answer", "reference", "equal"),
    [
        ("123456789012345678901", "1.2345678901234568e+20", True),  # one float
        ("5.0009", "5", True),
        ("5.001", "5", False),  # PAL's limit is not reached by a float either
        ("five", "5", False),
        (None, "5", False),
        ("9" * 250 + "e99", "9" * 250 + "e99", True),
    ],
)
def test_pals_tolerance(answer: str | None, reference: str, equal: bool) -> None:
    assert (compare_floats(answer, reference) == "equal") is equal


@pytest.mark.parametrize(
    ("step", "is_end"),
    [
        ("#### Step 1", False),
        ("#### **Step 1: count them**", False),
        ("##### Part 2", False),
        ("#### Solution", False),
        ("#### Final Answer", False),
        ("#### **Answer**", False),
        ("#### Conclusion", False),
        ("#### Answer: Ann", True),
        ("#### What is asked:", False),
        ("#### ", False),
        ("#### Ann", True),
        ("####5:3", True),
        ("#### steps", True),
        ("so \\boxed{Ann}", True),
    ],
)
def test_a_heading_ends_no_solution_in_words(step: str, is_end: bool) -> None:
    for task in (build.load_task("asdiv"), own_task([{"question": "Who?", "answer": "Ann"}])):
        assert bool(re.search(str(task.answer_pattern), step)) is is_end


def test_after_headings_the_answer_is_what_is_stated() -> None:
    for task in (build.load_task("asdiv"), own_task([{"question": "How many?", "answer": "4"}])):
        assert task.extract("#### Step 1\n2 + 2 = 4\n#### Step 2\nThe answer is 4.") == "4"
        assert task.extract("#### 4\n#### Solution:\n2 + 2") == "4"
        assert task.extract("2 + 2 = 4\n#### Final Answer\n4") == "4"


@pytest.mark.parametrize(
    ("step", "is_end"),
    [
        ("#### None", True),
        ("#### **None**", True),
        ("#### There is not enough information", True),
        ("#### 5", True),
        (r"#### \text{5}", True),
        (r"#### $\mathbf{-5}$", True),
        (r"#### \frac{-5}{2}", True),
        ("#### about $5", True),
        ("#### Rs. 5", True),
        ("#### Step 1: count", False),
        ("#### About step 1", False),
        ("#### What we add", False),
    ],
)
def test_a_number_or_that_there_is_none_ends_a_solution_of_gsm_plus(
    step: str, is_end: bool
) -> None:
    pattern = build.load_task("gsm-plus").answer_pattern
    assert bool(re.search(str(pattern), step)) is is_end


def test_answers_in_words_are_looked_for_in_linear_time() -> None:
    tasks = [build.load_task(name) for name in ("asdiv", "gsm-plus")]
    tasks.append(own_task([{"question": "Who?"}]))
    began = time.process_time()
    for text in ("####" * 5_000, "#### " + "a " * 20_000, "#### n't " * 5_000, "#### a: " * 5_000,
                 "#### \n" * 5_000, "#### Step 1" * 5_000, "#### " + "* " * 10_000):  # fmt: skip
        for task in tasks:
            re.search(str(task.answer_pattern), text)
            task.extract(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("They are 12 and 5.\n#### 12 red, 5 blue", "12 red, 5 blue"),
        ("#### 12 - 5 = 7 apples", "7"),
        ("She has 3 + 4 = 7 eggs.", "7"),
        ("It is 4.\nThe answer is the blue box.", "the blue box"),
        ("There are 3 in 2 rows.", "2"),
        ("#### ", None),
        ("nothing here.", None),
    ],
)
def test_what_a_solution_states(text: str, answer: str | None) -> None:
    assert stated(text) == answer


def test_all_twelve_are_listed_and_take_the_fields_shots() -> None:
    shots = {name: build.load_task(name).default_shots for name in build.TASKS}
    assert {name for name, count in shots.items() if count == 5} == {
        "gsm8k", "gsm-hard", "gsm-plus", "gsm-symbolic", "svamp", "asdiv", "mawps",
    }  # fmt: skip
    assert (shots["math"], shots["mbpp-plus"], shots["humaneval-plus"]) == (4, 3, 0)


def test_a_problem_without_an_answer_is_never_right() -> None:
    assert build.load_task("asdiv").grade(Problem("given", "How many?"), "9") is False
