import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.cli import rollouts as command
from stepnav.core.budget import Usage
from stepnav.core.errors import ConfigError
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import BudgetSpent, Complete
from stepnav.core.tree import Tree
from stepnav.train.label_stepwise import read_records
from stepnav.train.records import StepRecord
from stepnav.train.rollouts import METHODS, rollout_record

PROBLEM = Problem("p", "how many")
NUM_SAMPLES = 3


def solution(length: int, *, finish: Any = "end") -> Trajectory:
    steps = [Step(f"step {n}\n") for n in range(length - 1)] + [Step("last", finish)]
    return Trajectory(PROBLEM, tuple(steps))


def play(
    method: Any, length: int, hits: Sequence[int], *, broke_after: int | None = None
) -> tuple[Outcome, list[int]]:
    """Run a program; `hits[n]` completions behind n steps are right, hits[length] is the solution's own."""
    asked: list[int] = []

    def is_right(found: Trajectory) -> bool:
        if found == solution(length):
            return bool(hits[length])
        return found.steps[-1].text == "right"

    program = METHODS[method](
        Tree(PROBLEM), is_right=is_right, samples=NUM_SAMPLES, temperature=1.0
    )
    requests = next(program)
    try:
        while True:
            answers = []
            for request in requests:
                assert isinstance(request, Complete)
                n = len(request.prefix.steps)
                asked.append(n)
                if broke_after is not None and len(asked) > broke_after:
                    requests = program.throw(BudgetSpent("policy_tokens"))
                    break
                ends = ["right"] * hits[n] + ["wrong"] * (request.n - hits[n])
                answers.append(
                    (solution(length),)
                    if n == 0
                    else tuple(request.prefix.extend(Step(text, "end")) for text in ends)
                )
            else:
                requests = program.send(answers)
    except StopIteration as end:
        return end.value, asked


def record(outcome: Outcome, labels: Any = "hard") -> StepRecord | None:
    result = SearchResult("p/0", "r", {}, "p", 0, None, outcome, Tree(PROBLEM), Usage(), 1)
    return rollout_record(result, labels=labels)


def test_every_prefix_is_completed_and_the_last_step_is_the_answers() -> None:
    outcome, asked = play("each", 4, [0, 3, 1, 0, 1])
    assert asked == [0, 1, 2, 3]
    hard, soft = record(outcome), record(outcome, "soft")
    assert hard is not None
    assert soft is not None
    assert hard.labels == (1, 1, -1, 1)
    assert soft.labels == (1.0, 1 / 3, 0.0, 1.0)
    assert hard.completions == ("step 0\n", "step 1\n", "step 2\n", "last")
    assert hard.origin == "p/0"


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_bisection_finds_the_first_wrong_step_with_few_completions(case: tuple[int, int]) -> None:
    length, first = case
    hits = [0] + [2 if n <= first else 0 for n in range(1, length)] + [0]
    outcome, asked = play("bisection", length, hits)
    found = record(outcome)
    assert found is not None
    assert found.labels == (*(1,) * first, -1, *(None,) * (length - first - 1))
    assert len(asked) <= 1 + length.bit_length()


def test_a_right_solution_needs_no_search() -> None:
    outcome, asked = play("bisection", 3, [0, 0, 0, 1])
    assert asked == [0]
    found = record(outcome)
    assert found is not None
    assert found.labels == (1, 1, 1)


@pytest.mark.parametrize("method", list(METHODS))
def test_what_cannot_be_paid_is_left_out(method: str) -> None:
    for broke_after in (0, 1):
        outcome, _ = play(method, 5, [0] * 6, broke_after=broke_after)
        assert outcome.stop_reason == "budget"
        assert record(outcome) is None


def test_an_unfinished_completion_is_never_right() -> None:
    from stepnav.build import load_task

    task = load_task("arithmetic")
    (problem,) = task.load("dev", 1, 0, None)
    text = f"#### {problem.answer}"
    assert command.is_right(task, Trajectory(problem, (Step(text, "end"),)))
    assert not command.is_right(task, Trajectory(problem, (Step(text, "length"),)))
    assert not command.is_right(task, Trajectory(problem, (Step("#### 0.5", "end"),)))


def options(out: Path, **changes: Any) -> dict[str, Any]:
    return {
        "out": out, "task": "arithmetic", "split": None, "data": None, "problems": 2, "solutions": 1,
        "samples": 2, "method": "each", "labels": "hard", "temperature": 1.0, "policy": None,
        "policy_model": None, "seed": 0, "resume": False, "active": 64, "device": "cpu",
        "dtype": "float32", "chat": False, "sandbox": "process", "as_json": True, **changes,
    }  # fmt: skip


def test_the_command_labels_the_shipped_policy_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.run(**options(tmp_path / "a"))
    report = json.loads(capsys.readouterr().out)
    records = list(read_records(tmp_path / "a" / "rollouts.jsonl"))
    assert report["records"] == len(records) == 2
    assert sum(report["labels"].values()) == sum(len(r.labels) for r in records)
    assert report["policy_tokens"] > 0
    before = (tmp_path / "a" / "rollouts.jsonl").read_bytes()
    command.run(**options(tmp_path / "a", resume=True))
    assert json.loads(capsys.readouterr().out) == report
    assert (tmp_path / "a" / "rollouts.jsonl").read_bytes() == before
    with pytest.raises(ConfigError, match="is not empty; continue with --resume"):
        command.run(**options(tmp_path / "a"))
    with pytest.raises(ConfigError, match="samples: 2, now 3"):
        command.run(**options(tmp_path / "a", resume=True, samples=3))
    with pytest.raises(ConfigError, match=r"other settings .problems: "):
        command.run(**options(tmp_path / "a", resume=True, problems=3))
    with pytest.raises(ConfigError, match="no model folder"):
        command.run(**options(tmp_path / "slip", policy="arithmetik"))
    assert not (tmp_path / "slip").exists()
    with pytest.raises(ConfigError, match="first wrong step only"):
        command.run(**options(tmp_path / "b", method="bisection", labels="soft"))
    with pytest.raises(ConfigError, match="did you mean 'each'"):
        command.run(**options(tmp_path / "b", method="eahc"))


@pytest.mark.slow
def test_killed_rollouts_end_as_undisturbed_ones(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "stepnav", "data", "rollouts", "--problems", "12", "--samples", "4",
             "--resume", "--json", "--out"]  # fmt: skip
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
