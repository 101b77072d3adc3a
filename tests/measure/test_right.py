"""P(right) against how often it comes true, and the map between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.chances import as_seen
from stepnav.core.errors import DataError
from stepnav.measure.report.write import write_parquet, write_report
from stepnav.measure.right import (
    OPTIONS,
    describe,
    fit_right,
    held_out,
    is_flat,
    plot_right,
    read_pairs,
    unmapped,
)
from tests.measure.rows_for_tests import PLAN, make_row


def drawn(*wanted: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, and answers that are right as often as their map says."""
    rng = np.random.default_rng(0)
    probs = 1 / (1 + np.exp(-rng.uniform(-5, 5, count)))
    chances = np.array([as_seen(prob, *wanted) for prob in probs])
    return probs, (rng.uniform(size=count) < chances).astype(float)


def test_the_map_that_made_the_answers_is_found_again() -> None:
    probs, correct = drawn(0.2, 1.5, 0.4, count=40_000)
    found = fit_right(probs, correct)
    assert found == pytest.approx((0.2, 1.5, 0.4), abs=0.15)


def test_probabilities_that_were_held_out_come_true_after_it() -> None:
    probs, correct = drawn(0.2, 1.5, 0.4)
    problems = [f"p{number // 2}" for number in range(len(probs))]
    after = describe(held_out(problems, probs, correct, seed=0), correct)
    assert describe(probs, correct)["ece"] > 0.15
    assert after["ece"] < 0.03


def test_few_searches_have_an_error_even_if_their_probabilities_are_true() -> None:
    probs, correct = drawn(1.0, 1.0, 0.0, count=100)
    found = describe(probs, correct)
    assert found["honest_ece"] == pytest.approx(found["ece"], abs=0.06)
    assert found["honest_ece"] > 0.05
    probs, correct = drawn(1.0, 1.0, 0.0, count=20_000)
    assert describe(probs, correct)["honest_ece"] < 0.02


def test_a_reward_model_without_mistakes_gives_a_finite_map() -> None:
    found = fit_right(np.array([0.2, 0.9]), np.array([0.0, 1.0]))
    assert 0 < as_seen(0.5, *found) < 1


def test_the_map_of_nothing_measured_changes_nothing() -> None:
    assert as_seen(0.123456789, 1.0, 1.0, 0.0) == 0.123456789


@given(st.floats(0.002, 0.998), st.floats(0.1, 3), st.floats(0.1, 3), st.floats(-3, 3))
def test_a_map_keeps_the_order_and_is_undone(
    prob: float, low: float, high: float, offset: float
) -> None:
    seen = as_seen(prob, low, high, offset)
    assert as_seen(prob / 2, low, high, offset) <= seen
    options = {"right_low_slope": low, "right_high_slope": high, "right_offset": offset}
    if 0.01 < seen < 0.99:
        assert unmapped(seen, options) == pytest.approx(prob, abs=0.01)


def test_a_run_with_a_map_is_fitted_anew_from_what_was_below_it(tmp_path: Path) -> None:
    options = {"right_low_slope": 0.5, "right_high_slope": 2.0, "right_offset": 1.0}
    mapped = as_seen(0.3, 0.5, 2.0, 1.0)
    row = make_row("nav", problem_id="a", right_prob=mapped, correct=True, options=options)
    write_parquet(tmp_path / "results.parquet", [row])
    _, probs, _, _ = read_pairs(tmp_path, "nav")
    assert probs.tolist() == [pytest.approx(0.3, abs=0.005)]


def test_a_flat_map_is_not_undone(tmp_path: Path) -> None:
    probs = np.linspace(0.1, 0.9, 200)
    flat = fit_right(probs, (np.random.default_rng(0).uniform(size=200) > probs).astype(float))
    assert is_flat(flat)
    options = dict(zip(OPTIONS, flat))
    row = make_row("nav", problem_id="a", right_prob=as_seen(0.3, *flat), options=options)
    write_parquet(tmp_path / "results.parquet", [row])
    with pytest.raises(DataError, match="through a flat map"):
        read_pairs(tmp_path, "nav")


def test_a_run_without_a_report_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="make it with: stepnav report"):
        read_pairs(tmp_path, "nav")


def test_only_graded_searches_that_say_how_sure_they_are_count(tmp_path: Path) -> None:
    rows = [
        make_row("nav", problem_id="a", right_prob=0.7, correct=True),
        make_row("nav", problem_id="b", right_prob=0.6, correct=None),
        make_row("nav", problem_id="c", right_prob=None, correct=False),
        make_row("hgs", problem_id="d", right_prob=0.5, correct=False),
    ]
    write_parquet(tmp_path / "results.parquet", rows)
    problems, probs, correct, left_out = read_pairs(tmp_path, "nav")
    assert (problems, probs.tolist(), correct.tolist(), left_out) == (["a"], [0.7], [1.0], 2)
    with pytest.raises(DataError, match="no search by tot"):
        read_pairs(tmp_path, "tot")


@pytest.mark.parametrize(("budget", "name"), [(1250, "nav at 1,250"), (None, "nav")])
def test_a_report_tells_what_it_was_worth(tmp_path: Path, budget: int | None, name: str) -> None:
    rows = [
        make_row("nav", budget, problem_id=f"p{n}", right_prob=0.9, correct=n % 2 == 0)
        for n in range(20)
    ]
    rows += [make_row("cot", problem_id=f"p{n}") for n in range(20)]
    report = write_report(tmp_path, rows, PLAN)
    nav, cot = (
        next(row for row in report["rows"] if row["label"] == label) for label in ("nav", "cot")
    )
    assert nav["right_prob"]["ece"] == pytest.approx(0.4)
    assert cot["right_prob"] is None
    assert "P(right)" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "right_prob.png").read_bytes() == plot_right({name: nav["right_prob"]})
