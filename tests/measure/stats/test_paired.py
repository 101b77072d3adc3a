from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.measure.stats.paired import _sparse_interval, compare, holm, mcnemar_p, sign_flip_p


def table(both: int, won: int, lost: int, neither: int) -> tuple[dict[str, list[bool | None]], ...]:
    pairs = [(True, True)] * both + [(True, False)] * won
    pairs += [(False, True)] * lost + [(False, False)] * neither
    ours = {f"p{i}": [pair[0]] for i, pair in enumerate(pairs)}
    theirs = {f"p{i}": [pair[1]] for i, pair in enumerate(pairs)}
    return ours, theirs  # type: ignore[return-value]


def test_mcnemar_by_hand() -> None:
    assert mcnemar_p(0, 0) == 1.0
    assert mcnemar_p(5, 0) == 2 / 32
    assert mcnemar_p(1, 9) == 2 * (1 + 10) / 1024
    assert mcnemar_p(3, 3) == 1.0
    # Agresti, Categorical Data Analysis (3rd ed.), table 11.1: 86 against 150 is z = 4.17.
    assert mcnemar_p(86, 150) == pytest.approx(3.7e-5, rel=0.05)
    with pytest.raises(ValueError, match="negative"):
        mcnemar_p(-1, 2)


@given(st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_mcnemar_is_scipys_binomial_test(won: int, lost: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar_p(won, lost) == pytest.approx(expected, rel=1e-8)


def test_mcnemar_stays_exact_when_it_is_tiny() -> None:
    assert mcnemar_p(1000, 0) == 2.0**-999
    assert mcnemar_p(5000, 0) == 0.0


@given(st.lists(st.integers(-3, 3), max_size=10))
def test_sign_flip_is_the_count_of_all_flips(gains: list[int]) -> None:
    observed = abs(sum(gains))
    flips = list(itertools.product((-1, 1), repeat=len(gains)))
    hits = sum(abs(sum(s * g for s, g in zip(flip, gains))) >= observed for flip in flips)
    assert sign_flip_p(gains) == pytest.approx(hits / len(flips))


def test_sign_flip_of_single_pairs_is_mcnemar() -> None:
    assert sign_flip_p([1] * 20 + [-1] * 6 + [0] * 50) == mcnemar_p(20, 6)
    assert sign_flip_p([4] * 20 + [-4] * 6) == mcnemar_p(20, 6)


def test_sign_flip_keeps_small_p_values() -> None:
    gains = [1] * 100 + [2] * 100
    assert sign_flip_p(gains) == pytest.approx(2.0**-199, rel=1e-9)
    # As many problems as a large run has, within a moment.
    gains = [random.Random(i).choice([-2, -1, 1, 2, 2]) for i in range(3000)]
    assert 0 < sign_flip_p(gains) < 1e-9


def test_compare_by_hand() -> None:
    found = compare(*table(both=30, won=20, lost=5, neither=45))
    assert (found.won, found.lost, found.pairs, found.missing) == (20, 5, 100, 0)
    assert found.difference == pytest.approx(0.15)
    assert found.p == mcnemar_p(20, 5)
    assert found.test == "mcnemar"
    assert found.interval is not None
    # Wald: 0.15 +- 1.96 * sqrt(0.25 - 0.15^2) / 10 = 0.0565 to 0.2435.
    assert found.interval.low == pytest.approx(0.0565, abs=0.015)
    assert found.interval.high == pytest.approx(0.2435, abs=0.015)


def test_equal_answers_are_not_certainly_equal_strategies() -> None:
    found = compare(*table(both=50, won=0, lost=0, neither=50))
    assert (found.difference, found.p) == (0.0, 1.0)
    assert found.interval is not None
    assert found.interval.method == "exact"
    assert found.interval.low < -0.01 < 0.01 < found.interval.high


def test_few_differences_get_the_exact_interval() -> None:
    found = compare(*table(both=50, won=5, lost=0, neither=45))
    assert found.p == 2 / 32
    assert found.interval is not None
    assert found.interval.method == "exact"
    assert found.interval.low < 0, "five wins of a hundred do not prove a difference"


@pytest.mark.parametrize(("won", "tied"), [(12, 0), (59, 1), (96, 4)])
def test_almost_all_won_gets_the_exact_interval(won: int, tied: int) -> None:
    found = compare(*table(both=0, won=won, lost=0, neither=tied))
    assert found.interval is not None
    assert found.interval.method == "exact"
    assert found.interval.low < won / (won + tied) - 0.05


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 60))
@settings(deadline=None)
def test_the_sparse_interval_agrees_with_the_test(won: int, lost: int, same: int) -> None:
    problems = max(won + lost + same, 1)
    interval = _sparse_interval(won, lost, problems)
    assert -1 <= interval.low <= (won - lost) / problems <= interval.high <= 1
    assert interval.low < interval.high
    assert (interval.low > 0 or interval.high < 0) == (mcnemar_p(won, lost) < 0.05)


def test_ungraded_and_missing_pairs_are_left_out_and_counted() -> None:
    ours: dict[str, list[bool | None]] = {"a": [True], "b": [None], "c": [True]}
    theirs: dict[str, list[bool | None]] = {"a": [False], "b": [True], "d": [True]}
    found = compare(ours, theirs)
    assert (found.pairs, found.missing, found.won, found.difference) == (1, 3, 1, 1.0)
    nothing = compare({"a": [None]}, {"a": [True]})
    assert (nothing.difference, nothing.interval, nothing.p) == (None, None, None)
    assert (nothing.pairs, nothing.missing) == (0, 1)


def test_repeats_pair_by_their_position() -> None:
    found = compare({"a": [True, False]}, {"a": [False, True]})
    assert (found.won, found.lost, found.difference) == (1, 1, 0.0)
    assert found.test == "sign-flip"


def test_copies_of_the_same_pair_are_not_evidence() -> None:
    ours, theirs = table(both=30, won=20, lost=5, neither=45)
    once = compare(ours, theirs)
    copied = compare({k: v * 8 for k, v in ours.items()}, {k: v * 8 for k, v in theirs.items()})
    assert copied.p == once.p
    assert copied.interval == once.interval
    assert copied.pairs == 800


@given(
    st.lists(
        st.lists(st.tuples(*[st.sampled_from([True, False, None])] * 2), min_size=1, max_size=3),
        min_size=1,
        max_size=40,
    )
)
@settings(max_examples=60, deadline=None)
def test_compare_is_antisymmetric(pairs: list[list[tuple[bool | None, bool | None]]]) -> None:
    ours = {str(i): [a for a, _ in repeats] for i, repeats in enumerate(pairs)}
    theirs = {str(i): [b for _, b in repeats] for i, repeats in enumerate(pairs)}
    forth, back = compare(ours, theirs), compare(theirs, ours)
    assert (forth.won, forth.lost, forth.p) == (back.lost, back.won, back.p)
    if forth.difference is None:
        return
    assert back.difference == -forth.difference
    assert forth.interval is not None
    assert forth.interval.low <= forth.difference <= forth.interval.high
    assert forth.p is not None
    assert 0 < forth.p <= 1


def test_holm_by_hand() -> None:
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.5 * 1; each at least as large as the one before.
    found = holm({"a": 0.03, "b": 0.01, "c": 0.5, "d": 0.02, "e": None})
    assert found == pytest.approx({"a": 0.06, "b": 0.04, "c": 0.5, "d": 0.06, "e": None})
    assert holm({"a": 0.4, "b": 0.6, "c": 0.9}) == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_lies_between_raw_and_bonferroni(p_values: list[float]) -> None:
    found = holm(dict(enumerate(p_values)))
    for index, p in enumerate(p_values):
        corrected = found[index]
        assert corrected is not None
        assert p <= corrected <= min(1.0, len(p_values) * p) or math.isclose(
            corrected, min(1.0, len(p_values) * p)
        )


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [1, 4])
def test_no_difference_is_rarely_called_one(repeats: int) -> None:
    """Of 1,000 comparisons of equal strategies, at most about 5% may come out below 0.05."""
    rng = random.Random(repeats)
    rejected = covered = 0
    for _ in range(1000):
        ease = [rng.betavariate(1, 1) for _ in range(80)]
        draw = [
            {str(i): [rng.random() < e for _ in range(repeats)] for i, e in enumerate(ease)}
            for _ in range(2)
        ]
        found = compare(draw[0], draw[1])
        assert found.p is not None
        assert found.interval is not None
        rejected += found.p < 0.05
        covered += found.interval.low <= 0 <= found.interval.high
    assert rejected / 1000 <= 0.06
    assert covered / 1000 >= 0.925


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gain", "loss", "problems"),
    [(0.02, 0.02, 100), (0.08, 0.01, 60), (0.1, 0.0, 40), (0.2, 0.1, 30)],
)
def test_the_interval_of_few_differences_covers_the_truth(
    gain: float, loss: float, problems: int
) -> None:
    rng = random.Random(f"{gain} {loss}")
    covered = 0
    for _ in range(1000):
        pairs = rng.choices(
            [(True, False), (False, True), (True, True)], [gain, loss, 1 - gain - loss], k=problems
        )
        ours: dict[str, list[bool | None]] = {str(i): [a] for i, (a, _) in enumerate(pairs)}
        theirs: dict[str, list[bool | None]] = {str(i): [b] for i, (_, b) in enumerate(pairs)}
        interval = compare(ours, theirs).interval
        assert interval is not None
        covered += interval.low <= gain - loss <= interval.high
    assert covered / 1000 >= 0.93
