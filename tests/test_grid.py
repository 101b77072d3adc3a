from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import grid


@pytest.mark.parametrize(("miss", "reject"), grid.QUALITIES)
def test_a_simulated_reward_has_its_rates_and_changes_no_opinion(
    miss: float, reject: float
) -> None:
    steps = [("problem", f"step {number}") for number in range(4000)]
    for is_right, rate in ((False, miss), (True, 1 - reject)):
        found = [grid.accepts(step, is_right, miss, reject) for step in steps]
        assert sum(found) / len(steps) == pytest.approx(rate, abs=0.025)
        assert found == [grid.accepts(step, is_right, miss, reject) for step in steps]


WEIGHTS = (0.7, -0.3, -2.0, -3.0, 0.5, 0.4, 1.5)


def cells() -> list[dict[str, Any]]:
    """Return the cells of a world that follows the law."""
    found = []
    for number, temperature in enumerate(grid.TEMPERATURES):
        for miss, reject in grid.QUALITIES:
            one: dict[str, Any] = {"temperature": temperature, "miss": miss, "reject": reject}
            one |= {"problems": 10**6, "accuracy": {"cot": 0.2 + 0.12 * number}}
            law = sum(weight * x for weight, x in zip(WEIGHTS, grid.features(one)))
            odds = grid.log_odds(one["accuracy"]["cot"], 10**6) + law
            one["accuracy"]["hgs"] = 1 / (1 + math.exp(-odds))
            found.append(one)
    return found


def test_the_law_is_found_where_it_holds_and_tested_where_it_was_not_fitted() -> None:
    law = grid.fit(cells(), "hgs")
    assert list(law["weights"].values()) == pytest.approx(WEIGHTS, abs=1e-3)
    assert law["cells_held_out"] == 5
    assert law["mean_error_held_out"] < 1e-4
    broken = cells()
    for place in range(0, 25, 6):  # the diagonal that is held out
        broken[place]["accuracy"]["hgs"] = 0.0
    assert grid.fit(broken, "hgs")["mean_error_held_out"] > 0.3
    assert grid.fit(broken, "hgs")["weights"] == pytest.approx(law["weights"], abs=1e-3)
