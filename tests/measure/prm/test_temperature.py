"""Temperature scaling."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import StepScore
from stepnav.measure.prm.case import Case
from stepnav.measure.prm.temperature import (
    describe,
    fit_temperature,
    mean_loss,
    observe,
    rated_classes,
    scaled,
    with_step_labels,
)

THREE = (-1, 0, 1)


def softmax(outputs: list[float]) -> StepScore:
    powers = [math.exp(x - max(outputs)) for x in outputs]
    return StepScore(*(power / sum(powers) for power in powers))


def labelled(label: float | None, score: StepScore, group: str = "a"):
    return Case(group, group, "?", ("s",), False, labels=(label,)), (score,)


@given(
    st.lists(st.floats(-8, 8), min_size=3, max_size=3),
    st.floats(0.2, 5),
)
def test_scaling_a_score_is_dividing_the_outputs(outputs, temperature):
    found = scaled(softmax(outputs), temperature, THREE)
    wanted = softmax([x / temperature for x in outputs])
    assert found.negative_prob == pytest.approx(wanted.negative_prob, abs=1e-9)
    assert found.positive_prob == pytest.approx(wanted.positive_prob, abs=1e-9)


@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.floats(0.2, 5))
def test_the_likeliest_class_stays(outputs, temperature):
    score = softmax(outputs)
    top = max(score.negative_prob, score.neutral_prob, score.positive_prob)
    if sorted(outputs)[-1] - sorted(outputs)[-2] > 1e-6 and top < 1:
        assert scaled(score, temperature, THREE).rating == score.rating


def test_a_binary_score_stays_binary():
    assert scaled(StepScore(0.2, 0.0, 0.8), 3.0, (-1, 1)).neutral_prob == 0.0


def test_the_loss_by_hand():
    seen = observe([labelled(-1, StepScore(0.5, 0.25, 0.25))], "rating", THREE)
    assert mean_loss(seen, 1.0) == pytest.approx(math.log(2))
    # at T = 1/2 the probabilities go with their squares: 4 : 1 : 1
    assert mean_loss(seen, 0.5) == pytest.approx(math.log(6 / 4))
    right = observe([labelled(1, StepScore(0.5, 0.25, 0.25))], "correct", THREE)
    assert mean_loss(right, 0.5) == pytest.approx(math.log(6 / 2))


def test_label_zero_is_right_for_a_model_without_a_neutral_class():
    seen = observe([labelled(0, StepScore(0.2, 0.0, 0.8))], "rating", (-1, 1))
    assert seen.is_right.tolist() == [[False, True]]


@pytest.mark.parametrize("truth", [0.5, 2.0])
def test_the_temperature_that_made_the_labels_is_found(truth: float):
    rng = random.Random(0)
    scored = []
    for n in range(1500):
        outputs = [rng.gauss(0, 2) for _ in range(3)]
        honest = softmax([x / truth for x in outputs])
        weights = [honest.negative_prob, honest.neutral_prob, honest.positive_prob]
        label = rng.choices(THREE, weights)[0]
        scored.append(labelled(label, softmax(outputs), f"p{n}"))
    seen = observe(scored, "rating", THREE)
    found = fit_temperature(seen)
    assert found == pytest.approx(truth, rel=0.15)
    for other in (0.9 * found, 1.1 * found):
        assert mean_loss(seen, found) < mean_loss(seen, other)
    report = describe(scored, "rating", found, THREE)
    before, after = report["before"], report["after"]
    assert after["nll"]["value"] == pytest.approx(mean_loss(seen, found))
    assert after["nll"]["value"] < before["nll"]["value"]
    assert after["rating"]["ece"]["value"] < before["rating"]["ece"]["value"] / 2
    assert report["steps"] == report["problems"] == 1500


@pytest.mark.parametrize("odds", [5.0, 30.0, 150.0])
def test_a_model_that_is_far_too_sure_is_mended(odds: float):
    sure = StepScore(1 / (1 + math.exp(odds)), 0.0, 1 / (1 + math.exp(-odds)))
    scored = [labelled(1 if n % 5 else -1, sure, f"p{n}") for n in range(100)]
    seen = observe(scored, "correct", (-1, 1))
    found = fit_temperature(seen)
    assert found == pytest.approx(odds / math.log(4), rel=1e-3)
    after = describe(scored, "correct", found, (-1, 1))["after"]
    assert after["nll"]["value"] == pytest.approx(mean_loss(seen, found))


def test_a_model_without_mistakes_has_no_temperature():
    seen = observe([labelled(1, StepScore(0.1, 0.1, 0.8))] * 5, "rating", THREE)
    with pytest.raises(DataError, match="makes no mistake"):
        fit_temperature(seen)


def test_a_model_that_knows_nothing_has_none():
    scored = [labelled(-1, StepScore(0.1, 0.1, 0.8)), labelled(1, StepScore(0.8, 0.1, 0.1))]
    with pytest.raises(DataError, match="tell nothing"):
        fit_temperature(observe(scored, "rating", THREE))


def test_no_labels_no_fit():
    with pytest.raises(DataError, match="no labelled step"):
        observe([labelled(None, StepScore(0.1, 0.1, 0.8))], "rating", THREE)


def test_classes_of_a_model():
    assert rated_classes((1, 0, -1)) == (-1, 0, 1)
    assert rated_classes(()) == (-1, 1)
    for bad in ((-1, 1, 1), (0, 1), (-1, 0)):
        with pytest.raises(ConfigError):
            rated_classes(bad)


def test_first_errors_become_step_labels():
    case = Case("a", "a", "?", ("x", "y", "z"), True, first_error=1)
    assert with_step_labels(case).labels == (1, -1, None)
    right = Case("a", "a", "?", ("x", "y"), True, first_error=None)
    assert with_step_labels(right).labels == (1, 1)
