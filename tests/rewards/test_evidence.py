"""The fit of what a score says beyond the usual."""

import math
import random

import pytest

from stepnav.core.errors import DataError
from stepnav.rewards.local.evidence import Evidence, fit_evidence


def steps(slope, intercept, count, seed=0):
    """Return values, and truths drawn by a logistic function of their logits."""
    rng = random.Random(seed)
    logits = [rng.gauss(1.0, 2.0) for _ in range(count)]
    chances = [1 / (1 + math.exp(-(slope * x + intercept))) for x in logits]
    return [1 / (1 + math.exp(-x)) for x in logits], [rng.random() < p for p in chances]


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 1.0), (2.0, -1.0)])
def test_the_function_that_made_the_labels_is_found(slope, intercept):
    values, truth = steps(slope, intercept, 20_000)
    share = sum(truth) / len(truth)
    found = fit_evidence(values, truth)
    assert found.slope == pytest.approx(slope, abs=0.08)
    assert found.offset + math.log(share / (1 - share)) == pytest.approx(intercept, abs=0.08)


def test_a_score_that_tells_nothing_is_no_evidence():
    values, _ = steps(1.0, 0.0, 4_000)
    rng = random.Random(1)
    found = fit_evidence(values, [rng.random() < 0.9 for _ in values])
    assert abs(found.of(0.01)) < 0.4
    assert abs(found.of(0.99)) < 0.4


def test_values_that_separate_the_steps_have_a_finite_fit():
    found = fit_evidence([0.0, 0.1, 0.9, 1.0] * 5, [False, False, True, True] * 5)
    assert math.isfinite(found.of(1.0))
    assert found.of(1.0) > 3 > -3 > found.of(0.0)


@pytest.mark.parametrize("truth", [[True] * 3, [False] * 3, []])
def test_one_kind_of_steps_is_not_enough(truth):
    with pytest.raises(DataError, match="one kind is missing"):
        fit_evidence([0.5] * len(truth), truth)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"slope": 1}, "offset"),
        ({"slope": "1", "offset": 0}, "evidence.slope must be a number"),
        ({"slope": 1, "offset": math.inf}, "evidence.offset must be a number"),
    ],
)
def test_broken_settings_are_refused(value, said):
    with pytest.raises((ValueError, TypeError), match=said):
        Evidence.read(value)
