import pytest

from stepnav.zoo.gate import gate_report, threshold_report


def test_the_gate_by_hand() -> None:
    labels = [-1] * 10 + [0] * 10 + [1] * 30
    ratings = [-1] * 9 + [1] + [0] * 9 + [-1] + [1] * 29 + [-1]
    report = gate_report(labels, ratings, [1.0 if rating == -1 else 0.0 for rating in ratings])
    assert report["misses"] == pytest.approx(0.1)
    assert report["false_rejections"] == pytest.approx(2 / 40)
    assert report["is_passed"]
    assert report["confusion"] == [[9, 0, 1], [1, 9, 0], [1, 0, 29]]
    assert report["classes"]["-1"] == {
        "count": 10,
        "precision": pytest.approx(9 / 11),
        "recall": pytest.approx(0.9),
        "f1": pytest.approx(18 / 21),
    }
    assert report["auroc"] == pytest.approx(0.9 * (1 - 0.05) + 0.5 * (0.9 * 0.05 + 0.1 * 0.95))


def test_one_miss_more_fails_the_gate() -> None:
    labels = [-1] * 10 + [1] * 10
    report = gate_report(labels, [-1] * 8 + [1] * 12, [0.0] * 20)
    assert not report["is_passed"]


def test_nothing_is_unknown_and_does_not_pass() -> None:
    report = gate_report([1, 1], [1, 1], [0.0, 0.0])
    assert report["misses"] is None
    assert report["auroc"] is None
    assert not report["is_passed"]


def test_a_perfect_continuous_rater_misses_nothing() -> None:
    report = threshold_report([-1, -1, 1, 0], [5.0, 4.0, 1.0, 0.5])
    assert report["auroc"] == 1.0
    assert report["misses_at_1_percent_rejections"] == 0.0
