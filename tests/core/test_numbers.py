"""Aggregation, votes, seeds and budgets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.aggregate import AGGREGATIONS, aggregate
from stepnav.core.budget import Budget, Ledger, Usage
from stepnav.core.errors import ConfigError
from stepnav.core.records import StepScore
from stepnav.core.seeds import derive_seed
from stepnav.core.vote import count_votes

HALF, QUARTER = StepScore(0.5, 0.0, 0.5), StepScore(0.75, 0.0, 0.25)


@pytest.mark.parametrize(
    ("aggregation", "expected"), [("last", 0.25), ("min", 0.25), ("mean", 0.375), ("prod", 0.125)]
)
def test_aggregations(aggregation, expected):
    assert aggregate([HALF, QUARTER], aggregation) == expected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from(list(AGGREGATIONS)))
def test_aggregates_stay_in_range(values, aggregation):
    scores = [StepScore(1 - value, 0.0, value) for value in values]
    assert 0 <= aggregate(scores, aggregation) <= 1


def test_aggregating_nothing_is_an_error():
    with pytest.raises(ValueError, match="without steps"):
        aggregate([], "min")
    with pytest.raises(ValueError, match="must be one of"):
        aggregate([HALF], "median")


def test_votes_are_counted_heaviest_first():
    assert count_votes(["a", "b", None, "b"]) == {"b": 2.0, "a": 1.0}
    assert list(count_votes(["a", "b"], [0.2, 0.9])) == ["b", "a"]


def test_ties_go_to_the_first():
    assert next(iter(count_votes(["b", "a", "a", "b"]))) == "b"


@given(st.lists(st.sampled_from("abc"), max_size=20), st.randoms())
def test_votes_ignore_order(answers, random):
    shuffled = random.sample(answers, len(answers))
    assert count_votes(shuffled) == count_votes(answers)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.5], [1.0, float("nan")]])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="weight"):
        count_votes(["a", "b"], weights)


def test_seeds_depend_on_every_part():
    seeds = {
        derive_seed(0, "p", "hgs", 1),
        derive_seed(1, "p", "hgs", 1),
        derive_seed(0, "q", "hgs", 1),
        derive_seed(0, "p", "cot", 1),
        derive_seed(0, "p", "hgs", 2),
        derive_seed("0", "p", "hgs", 2),
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seed_is_the_same_everywhere():
    assert derive_seed(0, "gsm8k-test-1", "hgs", 3) == 2152745182020737375


def test_usage_adds_up_and_unknown_flops_stay_unknown():
    total = Usage(policy_calls=1, flops=5) + Usage(policy_calls=2, reward_calls=1, flops=7)
    assert (total.policy_calls, total.calls, total.flops) == (3, 4, 12)
    assert (total + Usage(flops=None)).flops is None


def test_ledger_says_what_is_short():
    ledger = Ledger(Budget(policy_tokens=100, reward_tokens=10, calls=3, seconds=1.0))
    ledger.charge(Usage(policy_calls=1, policy_tokens=60, reward_tokens=5))
    assert ledger.policy_tokens_left() == 40
    assert ledger.policy_tokens_left(reserve_tokens=50) == 0
    assert ledger.lacks(calls=2, reward_tokens=5, elapsed_s=0.5) is None
    assert ledger.lacks(calls=3, reward_tokens=0, elapsed_s=0.5) == "calls"
    assert ledger.lacks(calls=1, reward_tokens=6, elapsed_s=0.5) == "reward_tokens"
    assert ledger.lacks(calls=1, reward_tokens=0, elapsed_s=1.0) == "seconds"
    assert Ledger(Budget()).policy_tokens_left() is None


@pytest.mark.parametrize("limits", [{"calls": -1}, {"seconds": float("nan")}])
def test_a_budget_that_is_no_limit(limits):
    with pytest.raises(ConfigError, match="must be a number of at least 0"):
        Budget(**limits)
