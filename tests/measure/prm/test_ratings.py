"""Figures over step labels."""

from __future__ import annotations

import math

import pytest

from stepnav.core.records import StepScore
from stepnav.measure.prm.case import Case
from stepnav.measure.prm.ratings import rated_steps, report

SURE = {rating: StepScore.from_rating(rating) for rating in (-1, 0, 1)}


def scored(group: str, labels, scores):
    case = Case(group, group, "?", ("s",) * len(labels), False, labels=tuple(labels))
    return case, tuple(scores)


def test_three_classes_by_hand():
    pairs = [(-1, -1), (-1, 1), (0, 0), (1, 1), (1, 1), (1, -1)]
    steps = rated_steps(
        [scored(f"p{n}", [t], [SURE[r]]) for n, (t, r) in enumerate(pairs)], "rating"
    )
    found = report(steps)
    assert found["steps"] == 6 and found["problems"] == 6
    assert found["accuracy"]["value"] == pytest.approx(4 / 6)
    wrong = found["classes"]["-1"]
    assert (wrong["count"], wrong["rated"]) == (2, 2)
    assert wrong["precision"]["value"] == wrong["recall"]["value"] == wrong["f1"]["value"] == 0.5
    right = found["classes"]["1"]
    assert right["precision"]["value"] == pytest.approx(2 / 3)
    assert right["recall"]["value"] == pytest.approx(2 / 3)
    assert found["classes"]["0"]["f1"] == {"value": 1.0, "ci95": None}
    assert found["confusion"]["rows_true_columns_rated"] == [[1, 0, 1], [0, 1, 0], [1, 0, 2]]
    # P(-1): two wrong steps at 1 and 0, four others at 1, 0, 0, 0: pairs 0.5 + 3 and 0 + 1.5 of 8
    assert found["negative"]["auroc"]["value"] == pytest.approx(5 / 8)
    assert found["negative"]["base_rate"] == pytest.approx(2 / 6)


def test_calibration_by_hand():
    scores = [StepScore(0.8, 0.1, 0.1), StepScore(0.2, 0.0, 0.8)]
    found = report(rated_steps([scored("a", [-1, 1], scores)], "rating"))["calibration"]
    assert found["nll"]["value"] == pytest.approx(-math.log(0.8))
    assert found["brier"]["value"] == pytest.approx((0.04 + 0.01 + 0.01 + 0.04 + 0.04) / 2)
    assert found["rating"]["ece"]["value"] == pytest.approx(0.2)
    assert found["negative"]["ece"]["value"] == pytest.approx(0.2)
    assert sum(row["count"] for row in found["negative"]["bins"]) == 2


def test_an_underflowed_probability_costs_much_but_not_everything():
    steps = rated_steps([scored("a", [-1], [SURE[1]])], "rating")
    assert 700 < report(steps)["calibration"]["nll"]["value"] < 710


def test_masked_steps_are_left_out_and_later_errors_are_not_first():
    labels = [1, None, -1, 1, -1]
    steps = rated_steps([scored("a", labels, [SURE[1]] * 5)], "rating")
    assert steps.labels.tolist() == [1, -1, 1, -1]
    assert steps.is_first.tolist() == [True, True, False, False]
    first = report(steps)["first_errors"]
    assert (first["steps"], first["errors"]) == (2, 1)
    assert first["misses"]["value"] == 1.0
    assert first["false_rejections"]["value"] == 0.0


def test_neutral_counts_as_right_where_labels_have_two_classes():
    scores = [StepScore(0.1, 0.6, 0.3), StepScore(0.4, 0.3, 0.3)]
    steps = rated_steps([scored("a", [1, 1], scores)], "correct")
    assert steps.classes == (-1, 1)
    assert steps.ratings.tolist() == [1, -1]
    assert steps.probs.tolist() == [pytest.approx([0.1, 0.9]), pytest.approx([0.4, 0.6])]
    assert set(report(steps)["classes"]) == {"-1", "1"}


def test_continuous_labels_are_wrong_at_zero_only():
    steps = rated_steps([scored("a", [0.0, 0.125, 1.0], [SURE[1]] * 3)], "value")
    assert steps.labels.tolist() == [-1, 1, 1]


def test_a_class_that_never_occurs_is_none():
    found = report(rated_steps([scored("a", [1], [StepScore(0.1, 0.1, 0.8)])], "rating"))
    assert found["classes"]["0"]["recall"]["value"] is None
    assert found["classes"]["0"]["precision"]["value"] is None
    assert found["negative"]["auroc"]["value"] is None


def test_no_steps_are_no_figures():
    found = report(rated_steps([], "rating"))
    assert found["steps"] == 0
    assert found["accuracy"]["value"] is None
    assert found["negative"]["base_rate"] is None


def test_label_zero_counts_as_right_where_the_model_has_two_classes():
    scores = [StepScore(0.1, 0.0, 0.9), StepScore(0.7, 0.0, 0.3)]
    steps = rated_steps([scored("a", [0, 0], scores)], "rating")
    assert steps.classes == (-1, 1)
    assert steps.labels.tolist() == [1, 1]
    found = report(steps)
    assert found["accuracy"]["value"] == 0.5
    nll = found["calibration"]["nll"]["value"]
    assert nll == pytest.approx(-(math.log(0.9) + math.log(0.3)) / 2)


def test_the_gap_is_above_zero_for_a_model_that_is_too_sure():
    scores = [StepScore(0.1, 0.0, 0.9), StepScore(0.2, 0.0, 0.8), StepScore(0.3, 0.0, 0.7)]
    rows = [scored(name, [label], [score]) for name, label, score in zip("abc", (1, -1, 1), scores)]
    found = report(rated_steps(rows, "correct"))["calibration"]
    assert found["rating"]["gap"]["value"] == pytest.approx((0.9 + 0.8 + 0.7) / 3 - 2 / 3)
    assert found["rating"]["gap"]["ci95"] is not None
    assert found["negative"]["gap"]["value"] == pytest.approx(0.2 - 1 / 3)
    assert found["rating"]["ece"]["ci95"] is None  # no resample of it is unbiased
