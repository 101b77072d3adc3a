"""AUROC and average precision under weights of problems."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.labels.metrics import auroc
from stepnav.measure.stats.cluster import Clusters
from stepnav.measure.stats.ranking import (
    auroc_statistic,
    average_precision_statistic,
    within_auroc_statistic,
)


def value(statistic, scores, positive, weights=None):
    clusters = Clusters.of_keys([str(n) for n in range(len(scores))])
    weights = np.ones((1, len(scores))) if weights is None else np.array([weights], dtype=float)
    return float(statistic(np.array(scores), np.array(positive, dtype=bool), clusters)(weights)[0])


def test_auroc_by_hand():
    # pairs (positive, other): 0.9>0.5, 0.9>0.1, 0.5=0.5 (half), 0.5>0.1: 3.5 of 4
    assert value(auroc_statistic, [0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]) == pytest.approx(3.5 / 4)


def test_average_precision_by_hand():
    # ranks: 0.9 right (1/1), 0.8 wrong, 0.7 right (2/3), 0.6 wrong: (1 + 2/3) / 2
    found = value(average_precision_statistic, [0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])
    assert found == pytest.approx((1 + 2 / 3) / 2)


def test_tied_scores_stand_together():
    # all four tied: precision 2/4 whichever comes first
    assert value(average_precision_statistic, [0.5] * 4, [1, 0, 1, 0]) == pytest.approx(0.5)


def test_within_problems_only_their_own_pairs_count():
    scores = np.array([0.9, 0.8, 0.8, 0.1, 0.2, 0.3])
    positive = np.array([1, 1, 0, 0, 1, 0], dtype=bool)
    clusters = Clusters.of_keys(["a", "a", "a", "b", "b", "c"])
    statistic = within_auroc_statistic(scores, positive, clusters)
    # a: 0.9 > 0.8, 0.8 = 0.8 (half); b: 0.2 > 0.1; c has no pair
    weights = np.array([[1.0, 1, 1], [2, 1, 1], [0, 0, 1]])
    assert statistic(weights)[:2] == pytest.approx([2.5 / 3, 4 / 5])
    assert np.isnan(statistic(weights)[2])


def test_one_class_is_undefined():
    assert np.isnan(value(auroc_statistic, [0.1, 0.2], [1, 1]))
    assert np.isnan(value(average_precision_statistic, [0.1, 0.2], [0, 0]))


items = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(items)
def test_a_weight_is_as_many_copies(rows):
    scores = [score for score, _, count in rows for _ in range(count)]
    positive = [right for _, right, count in rows for _ in range(count)]
    weights = [count for _, _, count in rows]
    for statistic in (auroc_statistic, average_precision_statistic):
        weighted = value(statistic, [r[0] for r in rows], [r[1] for r in rows], weights)
        if scores:
            assert weighted == pytest.approx(value(statistic, scores, positive), nan_ok=True)
        else:
            assert np.isnan(weighted)


@settings(max_examples=60, deadline=None)
@given(items)
def test_auroc_is_the_same_by_ranks(rows):
    scores, positive = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    by_ranks = auroc(scores, positive)
    found = value(auroc_statistic, scores, positive)
    assert np.isnan(found) if by_ranks is None else found == pytest.approx(by_ranks)
