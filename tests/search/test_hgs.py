"""Hand-worked searches of HGS over scripted worlds."""

import pytest

from stepnav.core.budget import Budget
from stepnav.core.records import StepScore
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from tests.worlds import WITH_REPLACEMENT, make_search, run_one


def search(table, ratings, budget=None, seed=0, **options):
    policy, reward = ScriptedPolicy.from_table(table), ScriptedReward.from_table(ratings)
    return run_one(policy, reward, make_search("hgs", options, budget=budget, seed=seed))


def test_positive_steps_are_kept():
    result = search({"": ["a\n"], "a\n": ["#### 1"]}, {})
    assert result.answer == "1"
    assert result.outcome.stop_reason == "accepted"
    assert result.outcome.counts["iterations"] == 2
    assert [node.status for node in result.tree.nodes[1:]] == ["chosen", "chosen"]


def test_a_dead_end_is_left_by_backtracking():
    """From the root only 'bad' is neutral and 'good' positive is never drawn at first."""
    result = search(
        {"": ["dead end\n", "way\n"], "dead end\n": ["x\n"], "way\n": ["#### 2"]},
        {"dead end": StepScore(0.0, 0.6, 0.4), "way": StepScore(0.0, 0.7, 0.3), "x": -1},
        branching=12,
    )
    assert result.answer == "2"
    assert result.outcome.counts["backtracks"] == 1
    assert result.outcome.counts["neutral"] == 2
    statuses = {node.step.key: node.status for node in result.tree.nodes[1:]}
    assert statuses == {"dead end": "dead", "x": "dead", "way": "chosen", "#### 2": "chosen"}


@pytest.mark.parametrize(("order", "answer"), [("positive", "1"), ("value", "2"), ("first", None)])
def test_neutral_order(order, answer):
    table = {"": ["a\n", "b\n"], "a\n": ["#### 1"], "b\n": ["#### 2"]}
    ratings = {"a": StepScore(0.15, 0.45, 0.4), "b": StepScore(0.05, 0.65, 0.3)}
    result = search(table, ratings, branching=8, neutral_order=order)
    first = result.tree.nodes[1].step.key
    assert result.answer == (answer or {"a": "1", "b": "2"}[first])


def test_duplicates_are_counted_and_not_rated_again():
    result = search(
        {"": ["same\n"]}, {"same": -1}, branching=5, fallback="none", **WITH_REPLACEMENT
    )
    assert result.outcome.counts["duplicates"] == 4
    assert result.usage.reward_calls == 1
    assert result.tree.nodes[1].duplicates == 4


def test_exhausted_root_falls_back_to_greedy():
    result = search({"": ["#### 7"]}, {"#### 7": -1}, branching=3)
    assert result.outcome.stop_reason == "exhausted"
    assert result.outcome.counts["fallbacks"] == 1
    assert result.answer == "7"


def test_without_fallback_there_is_no_answer():
    result = search({"": ["#### 7"]}, {"#### 7": -1}, branching=3, fallback="none")
    assert result.answer is None
    assert result.outcome.trajectory is None


@pytest.mark.parametrize(("fallback", "answer"), [("path", "good"), ("root", "bad")])
def test_fallback_place_when_iterations_run_out(fallback, answer):
    table = {"": ["#### bad", "a\n"], "a\n": ["#### good"]}
    ratings = {"#### bad": -1, "#### good": -1}
    result = search(
        table, ratings, branching=20, max_draws=12, fallback=fallback, **WITH_REPLACEMENT
    )
    assert result.outcome.stop_reason == "iterations"
    assert result.outcome.counts["iterations"] == 12
    assert result.answer == answer


def test_reserve_pays_for_the_fallback():
    table = {"": ["one two three\n"], "one two three\n": ["#### 1"]}
    budget = Budget(policy_tokens=10)
    spent = search(table, {"#### 1": -1}, budget, branching=20, **WITH_REPLACEMENT)
    kept = search(table, {"#### 1": -1}, budget, branching=20, reserve_tokens=2, **WITH_REPLACEMENT)
    assert spent.outcome.stop_reason == kept.outcome.stop_reason == "budget"
    assert kept.answer == "1"
    assert kept.usage.policy_tokens <= 10


def test_a_step_cut_by_the_budget_is_never_rated():
    result = search(
        {"": ["one two three four\n"]},
        {},
        Budget(policy_tokens=2),
        fallback="none",
        reserve_tokens=0,
    )
    assert result.usage.reward_calls == 0
    assert result.outcome.stop_reason == "budget"


def test_whole_paths_cost_more_and_use_their_first_steps_only():
    table = {"": ["a\n"], "a\n": ["b\n"], "b\n": ["#### 1"], "a\nb\n": ["#### 1"]}
    step = search(table, {})
    path = search(table, {}, proposal="path")
    assert [n.step.text for n in path.tree.nodes[1:]] == [n.step.text for n in step.tree.nodes[1:]]
    assert path.answer == step.answer == "1"
    assert (step.usage.policy_tokens, path.usage.policy_tokens) == (4, 9)


def test_the_first_step_is_the_greedy_one_and_none_is_drawn_twice():
    table = {"": ["a\n", "b\n", "c\n"]}
    for seed in range(8):
        result = search(table, dict.fromkeys("abc", -1), seed=seed, fallback="none")
        assert result.tree.nodes[1].step.key == "a"
        assert {node.step.key for node in result.tree.nodes[1:]} == set("abc")
        assert result.outcome.counts["duplicates"] == 0
        assert result.outcome.counts["iterations"] == 4  # the last finds nothing more
        assert result.outcome.stop_reason == "exhausted"


def test_a_policy_without_a_list_draws_again_instead_of_a_duplicate():
    policy = ScriptedPolicy(lambda prefix, seed, temperature: f"{seed % 3}\n")
    options = {"fallback": "none", "branching": 3}
    found = run_one(policy, ScriptedReward.from_table({}, default=-1), make_search("hgs", options))
    assert {node.step.key for node in found.tree.nodes[1:]} == set("012")
    assert found.usage.policy_tokens >= 3
