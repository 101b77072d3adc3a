"""What all tasks have in common."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stepnav import build


@pytest.mark.parametrize("name", ["gsm8k", "math500", "arithmetic"])
def test_no_guess_in_a_thought_is_an_answer(name: str) -> None:
    task = build.load_task(name)
    (problem,) = task.load(task.default_split, 1, 0, None) if name == "arithmetic" else (None,)
    assert task.extract("<think>\nIs it\n#### 5\n") is None
    for each in (task, replace(task, name="other")):
        answer = each.extract("<think>\n#### 5\n</think>\n\\boxed{4}\n#### 4")
        assert answer == "4"
    if problem is not None:
        assert task.extractor(problem)("#### 5</think>\n#### 4") == "4"
