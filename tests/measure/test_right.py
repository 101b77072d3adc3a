"""P(right) against how often it comes true, and the map between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stepnav.core.chances import as_seen
from stepnav.core.errors import DataError
from stepnav.measure.report.write import write_parquet, write_report
from stepnav.measure.right import describe, fit_right, held_out, read_pairs
from tests.measure.rows_for_tests import PLAN, make_row


def drawn(slope: float, offset: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, and answers that are right as often as their map says."""
    rng = np.random.default_rng(0)
    probs = rng.uniform(0.01, 0.99, count)
    chances = np.array([as_seen(prob, slope, offset) for prob in probs])
    return probs, (rng.uniform(size=count) < chances).astype(float)


def test_the_map_that_made_the_answers_is_found_again() -> None:
    probs, correct = drawn(0.5, 1.2)
    slope, offset = fit_right(probs, correct)
    assert slope == pytest.approx(0.5, abs=0.1)
    assert offset == pytest.approx(1.2, abs=0.15)


def test_probabilities_that_were_held_out_come_true_after_it() -> None:
    probs, correct = drawn(0.5, 1.2)
    problems = [f"p{number // 2}" for number in range(len(probs))]
    after = describe(held_out(problems, probs, correct, seed=0), correct)
    assert describe(probs, correct)["ece"] > 0.15
    assert after["ece"] < 0.03


def test_few_searches_have_an_error_even_if_their_probabilities_are_true() -> None:
    probs, correct = drawn(1.0, 0.0, count=100)
    found = describe(probs, correct)
    assert found["honest_ece"] == pytest.approx(found["ece"], abs=0.06)
    assert found["honest_ece"] > 0.05
    probs, correct = drawn(1.0, 0.0, count=20_000)
    assert describe(probs, correct)["honest_ece"] < 0.02


def test_a_reward_model_without_mistakes_gives_a_finite_map() -> None:
    slope, offset = fit_right(np.array([0.2, 0.9]), np.array([0.0, 1.0]))
    assert 0 < as_seen(0.5, slope, offset) < 1


def test_the_map_of_nothing_measured_changes_nothing() -> None:
    assert as_seen(0.123456789, 1.0, 0.0) == 0.123456789


def test_only_graded_searches_that_say_how_sure_they_are_count(tmp_path: Path) -> None:
    rows = [
        make_row("nav", problem_id="a", right_prob=0.7, correct=True),
        make_row("nav", problem_id="b", right_prob=0.6, correct=None),
        make_row("nav", problem_id="c", right_prob=None, correct=False),
        make_row("hgs", problem_id="d", right_prob=0.5, correct=False),
    ]
    write_parquet(tmp_path / "results.parquet", rows)
    problems, probs, correct = read_pairs(tmp_path, "nav")
    assert (problems, probs.tolist(), correct.tolist()) == (["a"], [0.7], [1.0])
    with pytest.raises(DataError, match="no search by tot"):
        read_pairs(tmp_path, "tot")


def test_a_report_tells_what_it_was_worth(tmp_path: Path) -> None:
    rows = [
        make_row("nav", problem_id=f"p{n}", right_prob=0.9, correct=n % 2 == 0) for n in range(20)
    ]
    rows += [make_row("cot", problem_id=f"p{n}") for n in range(20)]
    report = write_report(tmp_path, rows, PLAN)
    nav, cot = (
        next(row for row in report["rows"] if row["label"] == label) for label in ("nav", "cot")
    )
    assert nav["right_prob"]["ece"] == pytest.approx(0.4)
    assert cot["right_prob"] is None
    assert "P(right)" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "right_prob.png").stat().st_size > 5000
