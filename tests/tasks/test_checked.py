"""Faults in a user's own task: one clear line each, and no lost run."""

from __future__ import annotations

import logging
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepnav import build
from stepnav.core.errors import ConfigError, SandboxError
from stepnav.core.records import Problem
from stepnav.tasks.checked import GradeFault, checked, strict
from stepnav.tasks.own import own_task
from stepnav.tasks.task import Task

TASK = own_task([{"question": "What is 2 + 2?", "answer": "4"}], name="mine")
(PROBLEM,) = TASK.load("test", None, 0, None)


def graded(answer: Any) -> Task:
    return checked(replace(TASK, grade=lambda problem, given: answer), "mine.py:task")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        *((True, True), (False, False), (None, None), (1, True), (0, False)),
        *((np.bool_(True), True), (np.int64(0), False), (1.0, True), (np.float64(0), False)),
    ],
)
def test_what_a_grade_may_return(answer: Any, verdict: bool | None) -> None:
    assert graded(answer).grade(PROBLEM, "4") is verdict


@pytest.mark.parametrize("answer", ["yes", 0.5, 0.99, math.nan, 2, [True], np.array([True, False])])
def test_anything_else_is_told_and_counts_as_not_graded(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    task = graded(answer)
    with caplog.at_level(logging.WARNING, "stepnav"):
        assert task.grade(PROBLEM, "4") is None
    (record,) = caplog.records
    assert "the grade of mine.py:task, for the problem mine-0," in record.getMessage()
    with pytest.raises(GradeFault, match="for the problem mine-0"):
        strict(task.grade)(PROBLEM, "4")


def test_a_grade_that_raises_is_told_once_for_each_kind_of_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def grade(problem: Problem, answer: str | None) -> bool:
        return float(answer or 0) < [1][int(problem.answer or 0) - 4]

    task = checked(replace(TASK, grade=grade), "mine")
    with caplog.at_level(logging.WARNING, "stepnav"):
        assert task.grade(PROBLEM, "0.5") is True
        for answer in ("x", "y"):
            assert task.grade(PROBLEM, answer) is None
        assert task.grade(replace(PROBLEM, answer="7"), "0.5") is None
    told = [record.getMessage() for record in caplog.records]
    assert ["ValueError" in told[0], "IndexError" in told[1], len(told)] == [True, True, 2]


def test_a_grade_or_load_that_exits_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    task = checked(replace(TASK, grade=lambda *a: sys.exit(3), load=lambda *a: sys.exit(4)), "mine")
    with caplog.at_level(logging.WARNING, "stepnav"):
        assert task.grade(PROBLEM, "4") is None
    assert "mine-0, tried to end the process: SystemExit: '3'" in caplog.text
    with pytest.raises(ConfigError, match="load of mine tried to end the process"):
        task.load("test", None, 0, None)


def test_errors_of_our_own_are_nobodys_verdict() -> None:
    def grade(problem: Problem, answer: str | None) -> bool:
        raise SandboxError("no sandbox")

    with pytest.raises(SandboxError, match="no sandbox"):
        checked(replace(TASK, grade=grade), "mine").grade(PROBLEM, "4")


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda *asked: None, r"load of mine must return a list of Problem \(got None\)"),
        (lambda *asked: [{"question": "?"}], "must return a list of Problem"),
        (lambda *asked: [].pop(), "load of mine raised IndexError"),
        (lambda *asked: [Problem("a", "?", 3)], "a problem's answer must be text or None"),
        (lambda *asked: [Problem(1, "?", "3")], "a problem's id must be text"),
    ],
)
def test_what_a_task_loads_is_checked(load: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked(replace(TASK, load=load), "mine").load("test", None, 0, None)


@pytest.mark.parametrize("rate", [lambda p, s: [5] * len(s), lambda p, s: 5, lambda p, s: [1]])
def test_what_an_exact_checker_says_is_checked(rate: Any) -> None:
    task = checked(replace(TASK, rate_steps=rate), "mine")
    assert task.rate_steps is not None
    with pytest.raises(ConfigError, match="rate_steps of mine, for the problem mine-0,"):
        task.rate_steps(PROBLEM, ["2 + 2 = 4\n", "#### 4"])


PLUGINS = """
from stepnav.tasks.own import own_task
task = own_task([{"question": "What is 2 + 2?", "answer": "4"}], grade=lambda a, r: 1 / 0)
def lacks(): raise KeyError("the data")
def asks(path): return task
def rows(): yield {"question": "What?"}; raise OSError("gone")
def nothing(): pass
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lacks", "mine.py:lacks raised KeyError"),
        ("asks", "mine.py:asks raised TypeError"),
        ("rows", "mine.py:rows raised OSError"),
        ("nothing", "must be a Task, rows"),
    ],
)
def test_a_function_that_makes_no_task_is_named(name: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PLUGINS)
    assert build.load_task(f"{path}:task").grade(PROBLEM, "4") is None
    with pytest.raises(ConfigError, match=message):
        build.load_task(f"{path}:{name}")
