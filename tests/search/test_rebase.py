"""Hand-worked searches of REBASE, and the split of its draws."""

import math

import pytest

from stepnav.core.budget import Budget
from stepnav.core.records import StepScore
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.search.rebase import split_draws
from tests.worlds import WITH_REPLACEMENT, make_search, run_one


def p(value):
    return StepScore(1 - value, 0.0, value)


def search(table, ratings, budget=None, **options):
    policy, reward = ScriptedPolicy.from_table(table), ScriptedReward.from_table(ratings)
    return run_one(
        policy, reward, make_search("rebase", {**WITH_REPLACEMENT, **options}, budget=budget)
    )


def drawn(result):
    """Return text of a prefix -> how many steps were drawn from it."""
    nodes = result.tree.nodes
    return {
        node.trajectory.text: sum(1 + nodes[child].duplicates for child in node.children)
        for node in nodes
        if node.children
    }


@pytest.mark.parametrize(
    ("draws", "values", "copies", "balance", "shares"),
    [
        (5, [0.0], [1], 0.1, [5]),
        (4, [0.5, 0.5], [1, 1], 0.1, [2, 2]),
        (5, [0.5, 0.5], [1, 1], 0.1, [3, 2]),  # 2.5 each: the first is rounded up
        (8, [math.log(3), 0.0], [1, 1], 1.0, [6, 2]),  # weights 3 : 1
        (10, [math.log(3), 0.0], [1, 1], 0.5, [9, 1]),  # weights 9 : 1
        (8, [0.5, 0.5], [3, 1], 0.1, [6, 2]),  # drawn three times and once
        (7, [math.log(2), 0.0, 0.0], [1, 2, 1], 1.0, [3, 3, 1]),  # 2.8, 2.8, 1.4
        (1, [0.2, 0.9, 0.9], [1, 1, 1], 0.1, [0, 1, 0]),
        (4, [0.0, 1.0], [1, 1], 1e-6, [0, 4]),  # no overflow
    ],
)
def test_split_of_draws(draws, values, copies, balance, shares):
    assert split_draws(draws, values, copies, balance) == shares


BANDIT = {
    "": ["a\n", "b\n", "c\n"],
    "a\n": ["#### 1"],
    "b\n": ["#### 2"],
    "c\n": ["#### 3"],
}
"""Three arms, drawn alike."""
PAYS = {"a": p(0.2), "b": p(0.9), "c": p(0.3), "#### 1": p(0.5), "#### 2": p(0.5), "#### 3": p(0.5)}


def test_the_best_arm_gets_nearly_all_draws():
    result = search(BANDIT, PAYS, width=30)
    arms = drawn(result)
    assert arms[""] == 30
    assert arms["b\n"] >= 29 and sum(arms.values()) == 60
    assert (result.answer, result.outcome.stop_reason) == ("2", "finished")
    assert result.outcome.counts["samples"] == 30
    assert next(iter(result.outcome.votes.items())) == ("2", pytest.approx(0.5 * arms["b\n"]))


def test_a_hot_balance_explores_every_arm():
    result = search(BANDIT, PAYS, width=30, balance=100.0)
    counts = {node.step.text: 1 + node.duplicates for node in result.tree.nodes if node.depth == 1}
    assert {text: drawn(result)[text] for text in counts} == counts


def test_finished_solutions_leave_with_their_share():
    table = {"": ["#### 1", "b\n"], "b\n": ["c\n"], "b\nc\n": ["#### 2"]}
    result = search(table, {"b": p(0.9), "c": p(0.9)}, width=10)
    gone = 1 + next(n for n in result.tree.nodes if n.trajectory.text == "#### 1").duplicates
    assert 0 < gone < 10
    assert drawn(result) == {"": 10, "b\n": 10 - gone, "b\nc\n": 10 - gone}
    assert result.outcome.counts["samples"] == 10


def test_prefixes_without_a_share_are_dead():
    result = search(BANDIT, PAYS, width=12, balance=0.01)
    status = {node.trajectory.text: node.status for node in result.tree.nodes if node.depth == 1}
    assert status == {"a\n": "dead", "b\n": "chosen", "c\n": "dead"}


def test_the_vote_weighs_numbers_too():
    table = {"": ["#### 1", "#### 1", "#### 1", "#### 2"]}
    ratings = {"#### 1": p(0.4), "#### 2": p(0.6)}
    assert search(table, ratings, width=40).answer == "1"


def test_a_prefix_is_finished_greedily_when_the_budget_ends():
    table = {"": ["one two three\n"], "one two three\n": ["#### 1"]}
    result = search(table, {}, width=4, budget=Budget(policy_tokens=16))
    assert (result.answer, result.outcome.stop_reason) == ("1", "budget")
    assert result.outcome.counts["fallbacks"] == 1


def test_too_long_solutions():
    table = {"": ["a\n"], "a\n": ["b\n"], "a\nb\n": ["#### 1"]}
    result = search(table, {}, width=4, max_steps=2)
    assert (result.answer, result.outcome.stop_reason) == ("1", "length")


def test_a_draw_that_the_budget_shortens_is_told():
    result = search({"": ["#### 1"]}, {}, width=8, budget=Budget(policy_tokens=6), reserve_tokens=0)
    assert (result.answer, result.outcome.stop_reason) == ("1", "budget")
    assert result.outcome.counts["samples"] == 3
