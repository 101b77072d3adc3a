"""Hand-worked searches of particle filtering, and its resampling."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.budget import Budget
from stepnav.search.particle import resample, shares_of, tempering
from tests.worlds import drawn, p, search_table

BANDIT = {
    "": ["a\n", "b\n", "c\n"],
    "a\n": ["#### 1"],
    "b\n": ["#### 2"],
    "c\n": ["#### 3"],
}
PAYS = {"a": p(0.01), "b": p(0.99), "c": p(0.02)}


@pytest.mark.parametrize(
    ("values", "balance", "shares"),
    [
        ([0.5, 0.9], 1.0, [0.1, 0.9]),  # odds 1 : 9
        ([0.5, 0.9], 2.0, [0.25, 0.75]),  # their square roots
        ([0.8, 0.8, 0.8, 0.8], 0.1, [0.25] * 4),
        ([0.0, 1.0], 1.0, [0.0, 1.0]),  # certainty is clipped, not infinite
    ],
)
def test_shares_are_odds(values, balance, shares):
    assert shares_of(values, balance) == pytest.approx(shares, abs=1e-9)


@pytest.mark.parametrize(
    ("shares", "progress", "expected"),
    [
        ([0.25] * 4, 0.0, 1.0),
        ([1.0, 0.0, 0.0, 0.0], 0.0, 4.0),  # one of four carries all
        ([1.0, 0.0, 0.0, 0.0], 0.25, 3.0),
        ([0.5, 0.5, 0.0, 0.0], 0.0, 1.0),  # half of them is enough
    ],
)
def test_tempering(shares, progress, expected):
    assert tempering(shares, progress) == pytest.approx(expected)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), st.integers(1, 20), st.integers(0, 99))
def test_systematic_resampling_is_off_by_less_than_one(weights, n, seed):
    shares = [weight / sum(weights) for weight in weights]
    found = resample(list(range(len(shares))), shares, n, Random(seed), is_systematic=True)
    copies = Counter(found)
    assert len(found) == n
    assert all(abs(copies[i] - n * share) < 1 + 1e-9 for i, share in enumerate(shares))


def test_multinomial_resampling_follows_the_shares():
    found = resample("ab", [0.25, 0.75], 4000, Random(1), is_systematic=False)
    assert Counter(found)["b"] == pytest.approx(3000, abs=100)


def test_the_particles_go_where_it_pays():
    result = search_table("particle", BANDIT, PAYS, num_particles=20)
    arms = drawn(result)
    assert arms[""] == 20 and sum(arms.values()) == 40
    assert arms["b\n"] >= 18
    assert (result.answer, result.outcome.stop_reason) == ("2", "finished")


def test_every_particle_has_one_vote():
    table = {"": ["#### 1", "#### 1", "#### 1", "#### 2"]}
    ratings = {"#### 1": p(0.5), "#### 2": p(0.55)}
    result = search_table("particle", table, ratings, num_particles=40, answer="vote")
    assert sum(result.outcome.votes.values()) == 40
    assert result.answer == "1"
    assert search_table("particle", table, ratings, num_particles=40).answer == "2"


def test_one_confident_mistake_takes_all_unless_tempered():
    """One step of eight is scored far too high, and is seen to be wrong at the next."""
    table = {"": [f"{i}\n" for i in range(8)]}
    table |= {f"{i}\n": [f"#### {'bad' if i == 0 else 'good'}"] for i in range(8)}
    ratings = {"0": p(0.995), "#### bad": p(0.05), "#### good": p(0.9)}
    ratings |= {str(i): p(0.7) for i in range(1, 8)}

    def lost(**options):
        found = [
            search_table("particle", table, ratings, seed=seed, aggregation="last", **options)
            for seed in range(40)
        ]
        return sum(result.answer == "bad" for result in found)

    assert lost() > 3 * lost(entropic=True)


def test_same_seed_same_particles_another_seed_others():
    first, again, other = (
        search_table("particle", BANDIT, {}, seed=seed, num_particles=9) for seed in (1, 1, 2)
    )
    assert drawn(first) == drawn(again) != drawn(other)


def test_finished_particles_stay_and_take_part():
    table = {"": ["#### 1", "b\n"], "b\n": ["c\n"], "b\nc\n": ["#### 2"]}
    result = search_table("particle", table, {"#### 1": p(0.999), "b": p(0.001)}, num_particles=8)
    assert result.answer == "1"
    assert sum(drawn(result).values()) < 10  # the unfinished ones were resampled away at once


def test_what_was_found_is_given_when_the_budget_ends():
    table = {"": ["#### 1", "one two three four\n"], "one two three four\n": ["one two three\n"]}
    budget = Budget(policy_tokens=30)
    result = search_table("particle", table, {"#### 1": p(0.1)}, budget, reserve_tokens=12)
    assert (result.answer, result.outcome.stop_reason) == ("1", "budget")
    assert result.usage.policy_tokens == 30  # nothing is kept back once one has ended
    assert result.outcome.counts["fallbacks"] == 0


def test_a_prefix_is_finished_greedily_if_no_particle_ends():
    table = {"": ["one two three\n"], "one two three\n": ["#### 1"]}
    result = search_table("particle", table, {}, Budget(policy_tokens=16), num_particles=4)
    assert (result.answer, result.outcome.stop_reason) == ("1", "budget")
    assert result.outcome.counts["fallbacks"] == 1
    result = search_table("particle", {"": ["one two three\n"]}, {}, max_step_tokens=2)
    assert (result.answer, result.outcome.stop_reason) == ("?", "exhausted")


def test_particles_that_the_budget_cuts_at_once_tell_so():
    table = {"": ["a\n"], "a\n": ["one two three four\n"]}
    result = search_table("particle", table, {}, Budget(policy_tokens=3), num_particles=1)
    assert result.outcome.stop_reason == "budget"
