"""Problems with inputs and outputs in their published forms: read, searched, graded, rewarded."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Score
from stepnav.rewards.execution import ExecutionReward
from tests.cli.test_main import call

SUM = "a, b = map(int, input().split())\nprint(a + b)\n"
FIRST_ONLY = "a, b = map(int, input().split())\nprint(3)\n"
INPUTS, OUTPUTS = ["1 2\n", "20 22\n"], ["3\n", "42\n"]


def cases(*pairs: tuple[str, str], kind: str = "stdin") -> list[dict[str, str]]:
    return [{"input": given, "output": wanted, "testtype": kind} for given, wanted in pairs]


def packed(tests: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


APPS = {
    "problem_id": 12, "question": "Add.", "solutions": json.dumps([SUM]), "difficulty": "interview",
    "input_output": json.dumps({"inputs": INPUTS, "outputs": OUTPUTS}), "starter_code": "",
}  # fmt: skip
CONTEST = {
    "name": "12_A. Sum", "description": "Add.", "difficulty": 7,
    "public_tests": {"input": INPUTS[:1], "output": OUTPUTS[:1]},
    "private_tests": {"input": [], "output": []},
    "generated_tests": {"input": INPUTS[1:], "output": OUTPUTS[1:]},
    "solutions": {"language": [2, 3], "solution": ["int main(){}", SUM]},
    "time_limit": {"seconds": 2, "nanos": 0},
}  # fmt: skip
LCB = {
    "question_id": "abc301_a", "question_title": "Sum", "question_content": "Add.",
    "platform": "atcoder", "starter_code": "", "difficulty": "easy", "metadata": "{}",
    "public_test_cases": json.dumps(cases(("1 2\n", "3\n"))),
    "private_test_cases": json.dumps(cases(("20 22\n", "42\n"))),
}  # fmt: skip
OWN = {"question": "Add.", "stdin": INPUTS, "stdout": OUTPUTS, "solution": SUM}

ROWS: list[tuple[str | None, dict[str, Any], str]] = [
    ("apps", APPS, "12"),
    ("apps", {**APPS, "input_output": {"inputs": [["1 2"], ["20 22"]], "outputs": [["3"], ["42"]]}},
     "12"),
    ("code-contests", CONTEST, "12_A. Sum"),
    ("livecodebench", LCB, "abc301_a"),
    ("livecodebench", {**LCB, "private_test_cases": packed(cases(("20 22\n", "42\n")))},
     "abc301_a"),
    (None, OWN, "mine-test-0"),
    (None, {"prompt": "Add.", **APPS}, "12"),
]  # fmt: skip


def task_of(name: str | None, row: dict[str, Any], folder: Path) -> tuple[Any, Problem]:
    path = folder / "mine.jsonl"
    path.write_text(json.dumps(row) + "\n")
    task = build.load_task(name or str(path))
    (problem,) = task.load("test", None, 0, path if name else None)
    return task, problem


@pytest.mark.parametrize(("name", "row", "called"), ROWS)
def test_published_forms(
    name: str | None, row: dict[str, Any], called: str, tmp_path: Path
) -> None:
    task, problem = task_of(name, row, tmp_path)
    assert (problem.question, problem.metadata["name"]) == ("Add.", called)
    tests = [(given.strip(), wanted.strip()) for given, wanted in problem.metadata["tests"]]
    assert tests == [("1 2", "3"), ("20 22", "42")]
    assert len(problem.metadata["public"]) == 1
    assert problem.answer == (None if name == "livecodebench" else SUM)
    assert task.grade(problem, task.extract(f"```python\n{SUM}```\nDone.")) is True
    assert task.grade(problem, task.extract(FIRST_ONLY)) is False
    assert task.grade(problem, task.extract("It is easy.")) is False
    assert task.code.passes_public(problem, FIRST_ONLY) is True


def test_the_execution_reward_runs_public_tests(tmp_path: Path) -> None:
    task, problem = task_of(None, OWN, tmp_path)
    reward = ExecutionReward(task.code.parses_so_far, task.code.passes_public)

    def rate(*lines: str, finish: Any = "step") -> list[int]:
        steps = [Step(line) for line in lines[:-1]] + [Step(lines[-1], finish)]
        reward.submit(1, Score(Trajectory(problem, tuple(steps))))
        ((_, answer),) = reward.poll(0)
        return [score.rating for score in answer.items]

    first, second = SUM.splitlines(keepends=True)
    assert rate(first, second, finish="end") == [1, 1]
    assert rate(first, "print(a - b)\n", finish="end") == [1, -1]
    assert rate(first, "print((a\n") == [1, 1]
    assert rate("print)(\n") == [-1]


def test_programs_that_print_the_same_are_one_vote(tmp_path: Path) -> None:
    task, problem = task_of(None, {**OWN, "stdin": INPUTS[:1], "stdout": OUTPUTS[:1]}, tmp_path)
    extract = task.extractor(problem)
    other = "print(sum(map(int, open(0).read().split())))\n"
    assert extract(SUM) == SUM
    assert extract(other) == SUM
    assert extract("print(4)\n") == "print(4)\n"


def test_problems_that_ask_for_a_function_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "apps.jsonl"
    function = {**APPS, "input_output": json.dumps({"fn_name": "f", "inputs": [], "outputs": []})}
    path.write_text("".join(json.dumps(row) + "\n" for row in (function, APPS, function)))
    assert [p.id for p in build.load_task("apps").load("test", None, 0, path)] == ["apps-test-1"]
    path.write_text(json.dumps(function))
    with pytest.raises(DataError, match=r"apps\.jsonl holds no problem with standard input"):
        build.load_task("apps").load("test", None, 0, path)
    lcb = {**LCB, "private_test_cases": json.dumps(cases(("1", "2"), kind="functional"))}
    path.write_text(json.dumps(lcb))
    with pytest.raises(DataError, match="holds no problem with standard input"):
        build.load_task("livecodebench").load("test", None, 0, path)


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("apps", {"question": "q", "tests": []}, "no field 'input_output' for apps"),
        ("code-contests", APPS, "no field 'description' for code-contests"),
        ("livecodebench", APPS, "no field 'question_content' for livecodebench"),
        (None, {**OWN, "stdout": ["3"]}, "there are 2 inputs and 1 outputs"),
        (None, {**OWN, "stdin": [1, 2]}, "an input or output must be text"),
        (None, {"question": "q", "stdin": "1"}, "no field 'stdout' for mine"),
        (None, {"stdin": "1", "stdout": "1"}, "no field 'question' for mine"),
        ("apps", {**APPS, "input_output": "[1]"}, "tests must be an object"),
        ("livecodebench", {**LCB, "private_test_cases": "AAAA"}, "private tests are damaged"),
    ],
)
def test_a_broken_row_is_one_line(
    name: str | None, row: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        task_of(name, row, tmp_path)
    assert message in str(caught.value)
    assert "line 1" in str(caught.value) and "\n" not in str(caught.value)


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("owned",))


def test_packed_tests_make_nothing_but_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        **LCB,
        "private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode(),
    }
    with pytest.raises(DataError, match=r"private tests must be text \(got builtins.print\)"):
        task_of("livecodebench", row, tmp_path)
    assert capsys.readouterr().out == ""


def test_a_file_of_other_rows_stays_a_task_of_answers(tmp_path: Path) -> None:
    path = tmp_path / "capitals.jsonl"
    path.write_text(json.dumps({"question": "Capital of Peru?", "answer": "Lima"}))
    assert build.load_task(str(path)).code is None
    with pytest.raises(ConfigError, match="leave --data out"):
        task_of(None, OWN, tmp_path)[0].load("test", None, 0, path)


def test_samples_are_graded_by_the_rows_own_names(tmp_path: Path) -> None:
    path = tmp_path / "lcb.jsonl"
    path.write_text(json.dumps(LCB))
    programs = build.load_programs("livecodebench", path)
    problem = programs.find("abc301_a")
    assert problem is not None and programs.count == 1
    assert programs.after_prompt(problem, SUM) == SUM
    assert programs.suite_of(problem).style == "stdin"


def test_one_file_for_all_splits_holds_each_problem_once(tmp_path: Path) -> None:
    path = tmp_path / "contests.jsonl"
    unnamed = {name: value for name, value in CONTEST.items() if name != "name"}
    path.write_text("".join(json.dumps(row) + "\n" for row in (CONTEST, unnamed, unnamed)))
    programs = build.load_programs("code-contests", path)
    assert (programs.count, programs.ambiguous) == (3, {})
    for name in ("12_A. Sum", "code-contests-train-0", "code-contests-test-0"):
        found = programs.find(name)
        assert found is not None and found.id == "code-contests-train-0"
    for number in (1, 2):
        found = programs.find(f"code-contests-valid-{number}")
        assert found is not None and found.id == f"code-contests-train-{number}"
    path.write_text(f"{json.dumps(CONTEST)}\n" * 2)
    assert build.load_programs("code-contests", path).count == 1, "one id, one problem"


def test_a_name_that_several_problems_carry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps(APPS))
    (tmp_path / "test.jsonl").write_text(json.dumps({**APPS, "question": "Subtract."}))
    programs = build.load_programs("apps", tmp_path)
    assert programs.count == 2
    assert programs.find("12") is None
    why = "apps has several problems '12'; use one of apps-train-0, apps-test-0"
    assert programs.why_not("12") == why
    assert programs.why_not("13") == "apps has no problem '13'"
    for split, question in (("train", "Add."), ("test", "Subtract.")):
        found = programs.find(f"apps-{split}-0")
        assert found is not None and found.question == question
    samples = [{"task_id": one, "completion": SUM} for one in ("12", "apps-test-0")]
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    code, out, err = call(
        "grade", "--task", "apps", "--data", str(tmp_path), "--samples", str(path), "--json"
    )
    report = json.loads(out)
    assert (code, report["bad_lines"], report["problems_without_samples"]) == (0, [1], 1)
    assert f"line 1: {why}" in err
