"""Reliability tables, calibration error, Brier score."""

from __future__ import annotations

import numpy as np
import pytest

from stepnav.measure.prm.reliability import (
    brier_terms,
    calibration_error,
    reliability_table,
)


def test_two_bins_by_hand():
    probs = np.array([0.1, 0.3, 0.6, 0.8, 1.0])
    came_true = np.array([False, True, False, True, True])
    low, high = reliability_table(probs, came_true, num_bins=2)
    assert (low.count, low.confidence, low.frequency) == (2, pytest.approx(0.2), 0.5)
    assert (high.count, high.confidence) == (3, pytest.approx(0.8))
    assert high.frequency == pytest.approx(2 / 3)
    # 2/5 x |0.2 - 0.5| + 3/5 x |0.8 - 2/3|
    assert calibration_error([low, high]) == pytest.approx(0.4 * 0.3 + 0.6 * (0.8 - 2 / 3))


def test_an_empty_bin_is_none_and_costs_nothing():
    bins = reliability_table(np.array([1.0]), np.array([True]), num_bins=4)
    assert [row.count for row in bins] == [0, 0, 0, 1]
    assert bins[0].confidence is None and bins[0].frequency is None
    assert calibration_error(bins) == 0


def test_nothing_has_no_calibration_error():
    assert calibration_error(reliability_table(np.array([]), np.array([], dtype=bool))) is None


def test_brier_by_hand():
    probs = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
    terms = brier_terms(probs, np.array([0, 0]))
    assert terms.tolist() == pytest.approx([0.09 + 0.04 + 0.01, 2.0])
