"""The power of McNemar's test: against runs that are drawn, and at its ends."""

from __future__ import annotations

import random

import pytest

from stepnav.measure.stats.paired import mcnemar_p
from stepnav.measure.stats.power import mcnemar_power, problems_needed, smallest_difference


@pytest.mark.parametrize(
    ("problems", "difference", "disagreement"), [(60, 0.15, 0.3), (200, 0.05, 0.1)]
)
def test_drawn_runs_find_it_as_often(problems: int, difference: float, disagreement: float) -> None:
    rng = random.Random(0)
    found, runs = 0, 2000
    for _ in range(runs):
        draws = [rng.random() for _ in range(problems)]
        won = sum(draw < (disagreement + difference) / 2 for draw in draws)
        lost = sum(draw < disagreement for draw in draws) - won
        found += mcnemar_p(won, lost) < 0.05
    assert found / runs == pytest.approx(
        mcnemar_power(problems, difference, disagreement), abs=0.03
    )


def test_no_difference_is_found_in_at_most_one_of_twenty() -> None:
    assert mcnemar_power(300, 0.0, 0.2) <= 0.05
    assert mcnemar_power(5, 0.2, 0.2) == 0.0  # five problems, all won, have p .06


def test_so_many_problems_show_it_and_the_smallest_difference_is_theirs() -> None:
    needed = problems_needed(0.05, 0.1)
    assert mcnemar_power(needed, 0.05, 0.1) >= 0.8 > mcnemar_power(needed - 1, 0.05, 0.1)
    assert smallest_difference(needed, 0.1) == pytest.approx(0.05, abs=0.002)
    assert smallest_difference(20, 0.1) is None


@pytest.mark.parametrize(
    ("difference", "disagreement"), [(0.3, 0.2), (-0.1, 0.2), (0.0, 0.0), (0, 2)]
)
def test_shares_that_cannot_be_are_refused(difference: float, disagreement: float) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        mcnemar_power(100, difference, disagreement)


def test_a_difference_too_small_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 1000000 problems"):
        problems_needed(1e-5, 0.5)
