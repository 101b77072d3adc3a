import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.build import load_task
from stepnav.cli import bench as bench_command
from stepnav.cli.console import Interrupted
from stepnav.cli.data import rollouts as command
from stepnav.cli.data import rollouts_problems
from stepnav.cli.data.rollouts_problems import DEFAULT_PROBLEMS, check_split, choose_problems
from stepnav.cli.parser.signature import flat
from stepnav.core.errors import BackendError, BadResponse, ConfigError, DataError
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.labels.reader import read_labelled
from stepnav.labels.stepwise import read_records
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.tasks.checked import CheckedGrade, GradeFault, checked
from stepnav.zoo import MODELS_FOLDER

run = flat(command.run)
bench = flat(bench_command.run)


def options(out: Path, **changes: Any) -> dict[str, Any]:
    return {
        "out": out,
        "problems": 2,
        "solutions": 2,
        "samples": 2,
        "seed": 0,
        "as_json": True,
        **changes,
    }


class Flaky:
    """A scripted policy that writes the seed as a wrong step, then the answer; some requests fail.

    Args:
      fails: whether the so-many-th request, from 1, fails.
    """

    def __init__(self, fails: Callable[[int], bool] = lambda number: False) -> None:
        self._policy = ScriptedPolicy(self._next_step)
        self._fails = fails
        self._number = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def poll(self, timeout_s: float) -> list[Any]:
        """Answer, or give up on a request."""
        answers = []
        for ticket, answer in self._policy.poll(timeout_s):
            self._number += 1
            failed = self._fails(self._number)
            answers.append((ticket, BadResponse("the model is overloaded") if failed else answer))
        return answers

    @staticmethod
    def _next_step(prefix: Trajectory, seed: int, temperature: float) -> str:
        if not prefix.steps:
            return f"{seed}\n"
        return f"#### {prefix.problem.answer if seed % 2 else 'none'}"


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Returns what puts a policy in the place of the shipped one."""
    monkeypatch.setattr(sys, "argv", ["stepnav", "data", "rollouts", "--out", "my run"])

    def put(policy: Any) -> None:
        monkeypatch.setattr(build, "open_models", lambda **_: build.Models(policy, None, []))

    return put


def test_an_unfinished_completion_is_never_right() -> None:
    task = load_task("arithmetic")
    (problem,) = task.load("dev", 1, 0, None)
    text = f"#### {problem.answer}"
    assert command.is_right(task, Trajectory(problem, (Step(text, "end"),)))
    assert not command.is_right(task, Trajectory(problem, (Step(text, "length"),)))
    assert not command.is_right(task, Trajectory(problem, (Step("#### 0.5", "end"),)))


def test_the_command_labels_the_shipped_policy_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(**options(tmp_path / "a", keep_unsolved=True))
    report = json.loads(capsys.readouterr().out)
    records = list(read_records(tmp_path / "a" / "rollouts.jsonl"))
    assert report["records"] == len(records)
    assert report["records"] + report["cut"] + report["duplicates"] == report["solutions"] == 4
    assert sum(report["labels"].values()) == sum(len(r.labels) for r in records)
    kept = json.loads((tmp_path / "a" / "rollouts_report.json").read_text())
    assert {"out": str(tmp_path / "a" / "rollouts.jsonl"), **kept} == report
    amounts = ["policy_tokens", "policy_prompt_tokens", "policy_cached_tokens", "flops", "seconds"]
    assert all(report[name] > 0 for name in amounts)
    assert report["failed_tokens"] == 0
    before = (tmp_path / "a" / "rollouts.jsonl").read_bytes()
    run(**options(tmp_path / "a", keep_unsolved=True, resume=True))
    assert json.loads(capsys.readouterr().out) == report
    assert (tmp_path / "a" / "rollouts.jsonl").read_bytes() == before
    run(**options(tmp_path / "a", keep_unsolved=True, resume=True, as_json=False))
    text = capsys.readouterr().out
    assert f"{report['policy_prompt_tokens']} prompt tokens" in text
    assert f"FLOPs {report['flops']:.3g}" in text
    with pytest.raises(ConfigError, match="is not empty; continue with --resume"):
        run(**options(tmp_path / "a", keep_unsolved=True))
    for changes, message in (
        ({"samples": 3}, "samples: 2, now 3"),
        ({"estimate": "soft"}, "labels: hard, now soft"),
        ({"problems": 3}, r"other settings .problems: "),
    ):
        with pytest.raises(ConfigError, match=message):
            run(**options(tmp_path / "a", keep_unsolved=True, resume=True, **changes))
    with pytest.raises(ConfigError, match="no model folder"):
        run(**options(tmp_path / "slip", policy="arithmetik"))
    assert not (tmp_path / "slip").exists()
    with pytest.raises(ConfigError, match="first wrong step only"):
        run(**options(tmp_path / "b", method="bisection", estimate="soft"))
    with pytest.raises(ConfigError, match="did you mean 'each'"):
        run(**options(tmp_path / "b", method="eahc"))


@pytest.mark.parametrize(("labels", "kind"), [("hard", "correct"), ("soft", "value")])
def test_every_row_says_what_its_labels_are(
    tmp_path: Path, scripted: Callable[[Any], None], labels: str, kind: str
) -> None:
    scripted(Flaky())
    run(**options(tmp_path / "out", estimate=labels, keep_unsolved=True))
    lines = (tmp_path / "out" / "rollouts.jsonl").read_text().splitlines()
    for line in lines:
        part = tmp_path / "part.jsonl"
        part.write_text(line + "\n")
        assert json.loads(line)["label_kind"] == kind
        assert read_labelled(part).kind == kind


def test_another_seed_draws_other_solutions(
    tmp_path: Path, scripted: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = load_task("arithmetic").load("train", 2, 0, None)
    load = "stepnav.tasks.arithmetic.problems.load"
    monkeypatch.setattr(load, lambda *_: problems)
    found = []
    for seed in (0, 1):
        scripted(Flaky())
        run(**options(tmp_path / str(seed), seed=seed, solutions=8, keep_unsolved=True))
        rows = list(read_records(tmp_path / str(seed) / "rollouts.jsonl"))
        assert len(rows) == 16
        found.append({row.completions for row in rows})
    assert not found[0] & found[1]


def test_failed_problems_are_counted_named_and_tried_again(
    tmp_path: Path, scripted: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("whole", "failed"):
        scripted(Flaky(lambda number: name == "failed" and number == 2))  # noqa: B023
        run(**options(tmp_path / name, problems=4, solutions=8))
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [report["failed"] for report in reports] == [0, 1]
    assert [report["first_error"] for report in reports] == [None, "the model is overloaded"]
    assert (reports[1]["cut"], reports[1]["solutions"]) == (0, 24)
    scripted(Flaky())
    run(**options(tmp_path / "failed", problems=4, solutions=8, resume=True))
    assert capsys.readouterr().err.count("failed") == 0
    one, other = (tmp_path / name / "rollouts.jsonl" for name in ("whole", "failed"))
    assert one.read_bytes() == other.read_bytes()


def test_a_failure_is_told_with_the_command_that_tries_again(
    tmp_path: Path, scripted: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(Flaky(lambda number: number == 2))
    run(**options(tmp_path / "one", problems=4, solutions=8, as_json=False))
    captured = capsys.readouterr()
    again = "stepnav data rollouts --out 'my run' --resume"
    text = "1 of 4 problems failed (the first: the model is overloaded); this tries them again: "
    assert f"note: {text}{again}" in captured.err
    assert "0 cut, 0 drawn before" in captured.out
    assert "1 problems failed" in captured.out
    scripted(Flaky(lambda _: True))
    with pytest.raises(BackendError, match=f"4 of 4 problems failed .*: {again}"):
        run(**options(tmp_path / "all", problems=4))


def test_an_interrupt_says_how_to_go_on(tmp_path: Path, scripted: Callable[[Any], None]) -> None:
    def interrupt(number: int) -> bool:
        raise KeyboardInterrupt

    scripted(Flaky(interrupt))
    with pytest.raises(Interrupted, match=r"0 of 2 problems .* --out 'my run' --resume"):
        run(**options(tmp_path / "out"))


def test_nothing_labelled_says_why(tmp_path: Path, scripted: Callable[[Any], None]) -> None:
    scripted(ScriptedPolicy(lambda prefix, seed, temperature: f"#### x{seed}"))
    with pytest.raises(DataError, match=r"4 left out of 2 problems never solved.*--keep-unsolved"):
        run(**options(tmp_path / "out"))
    assert not (tmp_path / "out" / "rollouts.jsonl").exists()


def test_a_run_does_not_go_on_with_other_weights(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODELS_FOLDER / "arithmetic-policy", folder)
    run(**options(tmp_path / "out", policy=str(folder), keep_unsolved=True, problems=1))
    weights = folder / "model.safetensors"
    os.utime(weights, (1, 1))  # a copy of the same model is the same
    run(
        **options(tmp_path / "out", policy=str(folder), keep_unsolved=True, problems=1, resume=True)
    )
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ConfigError, match="policy_digest: "):
        run(
            **options(
                tmp_path / "out", policy=str(folder), keep_unsolved=True, problems=1, resume=True
            )
        )


def test_test_sets_are_not_taken_without_a_word(
    tmp_path: Path, scripted: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(Flaky())
    with pytest.raises(ConfigError, match="HumanEval is a test set and is never trained on"):
        run(**options(tmp_path / "h", task="humaneval", split="test", policy="http://x"))
    row = {"problem": "q", "solution": "s", "answer": "1", "subject": "Algebra", "level": 2}
    math500 = tmp_path / "math500.jsonl"
    math500.write_text(json.dumps({**row, "unique_id": "test/algebra/1.json"}) + "\n")
    asked = {"task": "math500", "data": math500, "policy": "http://x", "solutions": 8}
    with pytest.raises(DataError, match="no train split: all its problems are MATH's test"):
        run(**options(tmp_path / "m", **asked))
    assert "taken for" not in capsys.readouterr().err
    run(**options(tmp_path / "m", split="test", **asked))
    assert "made from the test split of math500" in capsys.readouterr().err
    math500.write_text(json.dumps(row) + "\n")
    run(**options(tmp_path / "t", **asked))
    assert "is taken for the train split of math500" in capsys.readouterr().err
    run(**options(tmp_path / "a", solutions=8))
    assert "split" not in capsys.readouterr().err


def test_a_task_without_a_train_split_needs_a_named_one() -> None:
    task = replace(load_task("arithmetic"), splits=("dev", "test"))
    with pytest.raises(ConfigError, match=r"has no train split; name one with --split .dev, test."):
        check_split(task, None)


def test_problems_can_be_excluded(
    tmp_path: Path, scripted: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(Flaky())
    first, second = load_task("arithmetic").load("train", 2, 0, None)
    file = tmp_path / "exclude.jsonl"
    file.write_text(json.dumps({"problem": first.question.replace(" ", "  ")}) + "\n")
    run(**options(tmp_path / "a", exclude_problems=file, solutions=8))
    rows = list(read_records(tmp_path / "a" / "rollouts.jsonl"))
    assert {row.prompt for row in rows} == {second.question}
    assert "note: 1 of 2 problems stand in" in capsys.readouterr().err
    with file.open("a") as lines:
        lines.write(json.dumps({"problem": second.question}) + "\n")
    with pytest.raises(DataError, match="all 2 problems stand in"):
        run(**options(tmp_path / "b", exclude_problems=file))


@pytest.mark.slow
def test_killed_rollouts_end_as_undisturbed_ones(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "stepnav",
        "data",
        "rollouts",
        "--problems",
        "8",
        "--samples",
        "3",
        "--estimate",
        "soft",
        "--keep-unsolved",
        "--resume",
        "--json",
        "--out",
    ]
    subprocess.run([*words, str(tmp_path / "whole")], check=True, capture_output=True)
    for patience in (2.5, 5.0, 8.0):
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*words, str(tmp_path / "killed")],
                capture_output=True,
                timeout=patience,
                check=False,
            )
    subprocess.run([*words, str(tmp_path / "killed")], check=True, capture_output=True)
    one, other = (tmp_path / name / "rollouts.jsonl" for name in ("whole", "killed"))
    assert one.read_bytes() == other.read_bytes()


def test_what_the_searches_of_a_bench_drew_is_labelled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, out = tmp_path / "drawn", tmp_path / "out"
    bench(task="arithmetic", split="train", problems=3, strategies="hgs,nav", out=drawn, seed=2)
    capsys.readouterr()
    run(**options(out, from_run=drawn))
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 2
    records = read_records(out / "rollouts.jsonl")
    assert any(record.labels[-1] == 1 for record in records)
    first = (out / "rollouts.jsonl").read_bytes()
    run(**options(out, from_run=drawn, resume=True))
    assert (out / "rollouts.jsonl").read_bytes() == first
    with pytest.raises(ConfigError, match="is of the split train"):
        run(**options(tmp_path / "other", from_run=drawn, split="dev"))
    with pytest.raises(ConfigError, match="is of the task arithmetic"):
        run(**options(tmp_path / "other", from_run=drawn, task="plain"))


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        ("hard", "1 that others begin with, 0 left"),
        ("outcome", "with, 1 without an outcome, 0 left"),
    ],
)
def test_paths_of_a_run_that_are_no_record_are_told_by_their_reasons(
    tmp_path: Path, scripted: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], estimate: str, said: str,
) -> None:  # fmt: skip
    scripted(Flaky())
    [one] = load_task("arithmetic").load("train", 1, 0, None)
    begun, right, other = Step("1\n"), Step(f"#### {one.answer}", "end"), Step("3\n")
    paths = {one.id: [Trajectory(one, steps) for steps in ((begun,), (begun, right), (other,))]}
    monkeypatch.setattr(rollouts_problems, "searched_paths", lambda *given: ("train", paths))
    run(**options(tmp_path / "out", from_run=Path("run"), estimate=estimate, as_json=False))
    assert f"{said} out of 0 problems never solved" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "rollouts_report.json").read_text())
    without = found["begin_others"] + found["unknown"] + found["never_solved"]["left_out"]
    assert found["records"] + without == found["solutions"] == 3


def test_all_problems_of_a_run_are_labelled_if_no_number_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = load_task("arithmetic")
    drawn = task.load("train", DEFAULT_PROBLEMS + 3, 0, None)
    paths = {one.id: [Trajectory(one, (Step("a"),))] for one in drawn}
    monkeypatch.setattr(rollouts_problems, "searched_paths", lambda *given: ("train", paths))

    def count(problems: int | None, run: Path | None) -> int:
        return len(choose_problems("arithmetic", task, None, problems, 0, None, run, None)[1])

    assert count(None, Path("run")) == len(drawn)
    assert count(2, Path("run")) == count(2, None) == 2
    assert count(None, None) == DEFAULT_PROBLEMS


def test_searches_that_drew_no_whole_step_leave_nothing_to_label(tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    bench(task="arithmetic", split="train", problems=1, strategies="hgs", budgets="1", out=drawn)
    with pytest.raises(DataError, match="hold no whole step"):
        run(**options(tmp_path / "out", from_run=drawn))


def test_a_faulty_grade_makes_no_label() -> None:
    task = load_task("arithmetic")
    (problem,) = task.load("train", 1, 0, None)
    faulty = checked(replace(task, grade=lambda problem, answer: 1 / 0), "mine.py:task")
    solution = Trajectory(problem, (Step(f"#### {problem.answer}", "end"),))
    assert command.is_right(task, solution)
    with pytest.raises(GradeFault, match=r"the grade of mine\.py:task"):
        command.is_right(faulty, solution)


def test_a_problem_that_can_never_be_graded_is_left_out_once(
    tmp_path: Path,
    scripted: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = load_task("arithmetic")
    problems = task.load("train", 2, 0, None)
    graded = []

    def grade(problem: Problem, answer: str | None) -> bool | None:
        graded.append(problem.id)
        if problem == problems[0]:
            raise GradeFault("it cannot be graded: no test") from DataError("no test")
        return task.grade(problem, answer)

    mine = replace(task, load=lambda *_: problems, grade=CheckedGrade("mine", grade))
    monkeypatch.setattr(build, "load_task", lambda *_, **__: mine)
    found = []
    for resume in (False, True):
        scripted(Flaky())
        run(**options(tmp_path / "out", solutions=8, resume=resume))
        found.append(json.loads(capsys.readouterr().out))
    assert graded.count(problems[0].id) == 1
    assert caplog.messages == ["it cannot be graded: no test; it is left out"]
    assert found[0] == found[1]
    assert (found[0]["ungradable"], found[0]["failed"], found[0]["solutions"]) == (1, 0, 8)


def test_a_grade_that_cannot_tell_makes_no_label() -> None:
    task = load_task("arithmetic")
    (problem,) = task.load("train", 1, 0, None)
    unsure = replace(task, grade=lambda problem, answer: None)
    assert command.is_right(unsure, Trajectory(problem, (Step("#### 1", "end"),))) is None
    assert command.is_right(unsure, Trajectory(problem, (Step("#### 1", "length"),))) is False
