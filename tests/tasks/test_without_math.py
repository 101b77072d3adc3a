"""Tasks that compare formulas, in an install without the extra that brings what compares them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.answers import value
from stepnav.core.errors import ConfigError
from stepnav.tasks.own import own_task


@pytest.fixture
def no_math(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide what the extra `math` brings."""
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        return None if name in ("mpmath", "math_verify") else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    for name in ("mpmath", "math_verify"):
        monkeypatch.setitem(sys.modules, name, None)
    value.context.cache_clear()
    yield
    value.context.cache_clear()


@pytest.mark.usefixtures("no_math")
@pytest.mark.parametrize("name", ["math", "math500"])
def test_math_is_refused_before_a_run_where_it_could_not_be_graded(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} compares .*stepnav\[math\]'$"):
        build.load_task(name).load("test", None, 0, tmp_path / "none.jsonl")


@pytest.mark.usefixtures("no_math")
def test_rows_of_formulas_are_refused_too_and_others_are_not() -> None:
    rows = [{"question": "?", "answer": answer} for answer in ("5", "Paris", "1/2", "x+1", None)]
    assert len(own_task(rows).load("test", None, 0, None)) == 5
    rows.append({"question": "?", "answer": r"\frac{\sqrt{3}}{2}"})
    with pytest.raises(ConfigError, match=r"own-5 has the answer .*stepnav\[math\]'$"):
        own_task(rows).load("test", None, 0, None)
    assert own_task(rows, grade=lambda answer, wanted: True).load("test", None, 0, None)


@pytest.mark.usefixtures("no_math")
def test_an_answer_that_alone_needs_it_is_left_ungraded(caplog: pytest.LogCaptureFixture) -> None:
    task = own_task([{"question": "?", "answer": "2"}])
    (problem,) = task.load("test", None, 0, None)
    assert [task.grade(problem, answer) for answer in (r"\sqrt{4}", "2", "3")] == [
        None,
        True,
        False,
    ]
    (told,) = caplog.messages
    assert "pip install 'stepnav[math]', then stepnav report RUN --grade-again" in told
