from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.measure.stats.intervals import (
    Interval,
    accuracy,
    exact_interval,
    mean_pass_at_k,
    pass_at_k,
    pass_at_k_interval,
    ratio_interval,
)

GRADES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=4),
    min_size=1,
    max_size=30,
)


def single(right: int, wrong: int, undecided: int = 0) -> dict[str, list[bool | None]]:
    grades: list[bool | None] = [True] * right + [False] * wrong + [None] * undecided
    return {f"p{index}": [grade] for index, grade in enumerate(grades)}


def test_accuracy_counts_undecided_apart() -> None:
    found = accuracy(single(60, 40, 25))
    assert (found.value, found.correct, found.total, found.ungraded) == (0.6, 60, 100, 25)
    assert found.bounds == (60 / 125, 85 / 125)
    assert found.interval is not None
    # The normal approximation is 0.6 +- 1.96 * sqrt(0.24 / 100) = 0.504 to 0.696.
    assert found.interval.low == pytest.approx(0.504, abs=0.015)
    assert found.interval.high == pytest.approx(0.696, abs=0.015)
    assert found.interval.method == "bootstrap"


def test_nothing_graded_is_none_and_not_zero() -> None:
    found = accuracy(single(0, 0, 3))
    assert (found.value, found.interval, found.total, found.ungraded) == (None, None, 0, 3)
    assert found.bounds == (0.0, 1.0)
    assert accuracy({}).value is None
    assert accuracy({}).bounds is None


def test_exact_interval_against_known_values() -> None:
    # Clopper and Pearson 1934: for 0 of n the upper end is 1 - 0.025^(1/n).
    assert exact_interval(0, 10) == Interval(0.0, pytest.approx(1 - 0.025**0.1), "exact")
    assert exact_interval(10, 10) == Interval(pytest.approx(0.025**0.1), 1.0, "exact")
    # Agresti and Coull 1998 style check: 5 of 10 is 0.187 to 0.813.
    assert exact_interval(5, 10).low == pytest.approx(0.18709, abs=1e-5)
    assert exact_interval(5, 10).high == pytest.approx(0.81291, abs=1e-5)
    with pytest.raises(ValueError, match="right <= trials"):
        exact_interval(3, 2)


@pytest.mark.parametrize(("right", "trials"), [(0, 7), (1, 30), (12, 40), (299, 300), (7, 7)])
def test_exact_interval_against_scipy(right: int, trials: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(right, trials).proportion_ci(method="exact")
    found = exact_interval(right, trials)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("right", [0, 1, 4, 296, 299, 300])
def test_the_exact_interval_replaces_the_bootstrap_at_the_ends(right: int) -> None:
    found = accuracy(single(right, 300 - right)).interval
    assert found == exact_interval(right, 300)
    assert found.high > found.low, "an interval has a width even at 0 and 1"


def test_repeats_of_a_problem_do_not_narrow_the_interval() -> None:
    once = accuracy(single(60, 40)).interval
    copied = {name: grades * 5 for name, grades in single(60, 40).items()}
    assert accuracy(copied).interval == once
    spread: dict[str, list[bool | None]] = {f"p{i}": [True] * 3 + [False] * 2 for i in range(100)}
    narrow = accuracy(spread).interval
    assert narrow is not None
    assert narrow.high - narrow.low < 1e-9, "problems that are all alike leave no doubt to resample"


def test_all_right_with_repeats_counts_problems_as_trials() -> None:
    found = accuracy({"a": [True] * 10, "b": [True] * 10})
    assert found.interval == exact_interval(2, 2)


@given(GRADES)
@settings(max_examples=60, deadline=None)
def test_accuracy_properties(grades: dict[str, list[bool | None]]) -> None:
    found = accuracy(grades)
    flat = [grade for repeats in grades.values() for grade in repeats]
    assert found.correct == flat.count(True)
    assert found.total == len(flat) - flat.count(None)
    assert found.ungraded == flat.count(None)
    backwards = dict(reversed(list(grades.items())))
    assert accuracy(backwards) == found, "the order of problems does not matter"
    if found.value is None:
        assert found.total == 0
        return
    assert found.interval is not None
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    opposite = accuracy(
        {name: [g if g is None else not g for g in repeats] for name, repeats in grades.items()}
    )
    assert opposite.value == pytest.approx(1 - found.value)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ratio_interval_is_scipys_bca(seed: int) -> None:
    import numpy as np
    from scipy.stats import bootstrap

    rng = random.Random(seed)
    units = [(int(rng.expovariate(0.05)), 1) for _ in range(60)]  # skewed, so BCa must shift
    expected = bootstrap(
        (np.array([top for top, _ in units], dtype=float),),
        np.mean,
        n_resamples=20_000,
        method="BCa",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    found = ratio_interval(units)
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_ratio_interval_weighs_problems_by_their_graded_repeats() -> None:
    """Against a plain bootstrap that draws problems one by one."""
    rng = random.Random(0)
    units = [(rng.randint(0, n), n) for n in [1, 2, 4] * 30]
    values = []
    for _ in range(4000):
        draw = rng.choices(units, k=len(units))
        values.append(sum(top for top, _ in draw) / sum(bottom for _, bottom in draw))
    values.sort()
    found = ratio_interval(units)
    assert found.low == pytest.approx(values[100], abs=0.01)
    assert found.high == pytest.approx(values[-100], abs=0.01)


def test_pass_at_k_by_hand_and_by_counting() -> None:
    assert pass_at_k(5, 0, 3) == 0.0
    assert pass_at_k(5, 5, 1) == 1.0
    assert pass_at_k(5, 2, 1) == pytest.approx(2 / 5)
    for n, c, k in [(5, 2, 2), (6, 1, 4), (4, 3, 2)]:
        draws = list(itertools.combinations(range(n), k))
        hits = sum(any(index < c for index in draw) for draw in draws)
        assert pass_at_k(n, c, k) == pytest.approx(hits / len(draws))


def test_pass_at_k_is_none_with_too_few_samples() -> None:
    assert pass_at_k(3, 3, 4) is None
    with pytest.raises(ValueError, match="k >= 1"):
        pass_at_k(3, 1, 0)
    with pytest.raises(ValueError, match="num_correct"):
        pass_at_k(3, 4, 1)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
def test_pass_at_k_never_falls_with_k(right: int, wrong: int, k: int) -> None:
    n = right + wrong
    now, more = pass_at_k(n, right, k), pass_at_k(n, right, k + 1)
    if now is not None:
        assert 0 <= now <= 1
    if now is not None and more is not None:
        assert more >= now


def test_the_interval_of_pass_at_1_with_one_sample_is_that_of_accuracy() -> None:
    for grades in (single(60, 40), single(2, 98), single(100, 0)):
        assert pass_at_k_interval(grades, 1) == accuracy(grades).interval


def test_the_interval_of_pass_at_k_is_over_problems() -> None:
    grades: dict[str, list[bool | None]] = {f"p{n}": [n % 2 == 0, False] for n in range(100)}
    found = pass_at_k_interval(grades, 2)
    assert found.low < mean_pass_at_k(grades, 2).value < found.high  # type: ignore[operator]
    assert found.high - found.low == pytest.approx(0.196, abs=0.03)  # 2 * 1.96 * sqrt(0.25 / 100)
    one = pass_at_k_interval(grades, 1)
    assert one.high - one.low == pytest.approx(0.098, abs=0.02), "each is worth 0 or a half"


def test_mean_pass_at_k_says_how_many_it_is_about() -> None:
    grades: dict[str, list[bool | None]] = {
        "a": [True, False], "b": [False, False], "c": [True, None],
    }  # fmt: skip
    found = mean_pass_at_k(grades, 2)
    assert (found.value, found.problems, found.short) == (0.5, 2, 1)
    assert mean_pass_at_k(grades, 3).value is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chance", "problems", "repeats"), [(0.5, 100, 1), (0.9, 60, 1), (0.7, 50, 4), (0.97, 40, 1)]
)
def test_the_interval_covers_what_it_says(chance: float, problems: int, repeats: int) -> None:
    """Of 600 simulated runs, about 95% of the intervals must hold the true accuracy."""
    rng = random.Random(f"{chance} {problems} {repeats}")
    runs = 600
    covered = 0
    for _ in range(runs):
        grades = {}
        for index in range(problems):
            # Problems differ: a beta of mean `chance` makes repeats of one problem alike.
            ease = chance if repeats == 1 else rng.betavariate(2 * chance, 2 * (1 - chance))
            grades[str(index)] = [rng.random() < ease for _ in range(repeats)]
        interval = accuracy(grades).interval
        assert interval is not None
        covered += interval.low <= chance <= interval.high
    assert covered / runs >= 0.92
