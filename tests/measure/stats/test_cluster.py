"""Intervals by resampling whole problems."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.measure.stats.cluster import Clusters, divide, ratio


def share(hits: list[int], keys: list[str]):
    clusters = Clusters.of_keys(keys)
    return clusters.estimate(ratio(clusters.sums(hits), clusters.sums([1] * len(hits))))


def test_the_value_is_the_ratio_and_lies_in_its_interval():
    found = share([1, 1, 0, 1, 0, 0, 1, 1], list("aabbccdd"))
    assert found.value == pytest.approx(5 / 8)
    assert found.interval.low < 5 / 8 < found.interval.high


def test_repeats_within_problems_do_not_narrow_the_interval():
    hits, keys = [1, 0, 1, 1, 0, 1, 0, 0, 1, 1], list("abcdefghij")
    once = share(hits, keys)
    tenfold = share(hits * 10, keys * 10)
    assert once.interval.high == pytest.approx(tenfold.interval.high)
    assert once.interval.low == pytest.approx(tenfold.interval.low)


def test_more_problems_do():
    hits = [1, 0, 1, 1, 0, 1, 0, 0, 1, 1]
    few = share(hits, [str(n) for n in range(10)]).interval
    many = share(hits * 10, [str(n) for n in range(100)]).interval
    assert many.high - many.low < 0.5 * (few.high - few.low)


@pytest.mark.parametrize("hits", [[1, 1, 1], [0, 0, 0]])
def test_no_interval_where_no_resample_differs(hits):
    assert share(hits, list("abc")).to_json() == {"value": float(hits[0]), "ci95": None}


def test_rounding_is_no_difference():
    assert share([1 / 3, 1 / 3, 1 / 3], list("abc")).interval is None


def test_nothing_is_none():
    assert share([], []).to_json() == {"value": None, "ci95": None}
    clusters = Clusters.of_keys(["a", "b"])
    undefined = clusters.estimate(ratio(np.array([1.0, 1.0]), np.array([0.0, 0.0])))
    assert undefined.value is None


def test_one_problem_has_no_interval():
    assert share([1, 0], ["a", "a"]).interval is None


def test_sums_per_problem():
    clusters = Clusters.of_keys(["x", "y", "x"])
    assert clusters.sums([1, 2, 3]).tolist() == [4, 2]
    assert clusters.sums([[1, 0], [0, 1], [1, 1]]).tolist() == [[2, 1], [0, 1]]


def test_division_by_zero_is_undefined():
    assert np.isnan(divide(np.array([0.0]), np.array([0.0])))[0]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), min_size=2, max_size=20))
def test_the_order_of_items_is_nothing(items):
    keys = sorted(key for key, _ in items)
    hits = [int(hit) for _, hit in items]
    first = share(hits, keys)
    order = sorted(range(len(keys)), key=lambda n: (keys[n], hits[n]))
    second = share([hits[n] for n in order], [keys[n] for n in order])
    assert first.value == pytest.approx(second.value)
