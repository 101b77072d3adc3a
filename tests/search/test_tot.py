"""Hand-worked searches of tree of thoughts, in breadth and in depth, valued in three ways."""

import re

import pytest

from stepnav.build import strategy
from stepnav.core.budget import Budget
from stepnav.core.records import StepScore
from stepnav.core.seeds import derive_seed
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.testing import check_strategy
from tests.worlds import WITH_REPLACEMENT, make_search, run_one


def p(value):
    return StepScore(1 - value, 0.0, value)


def search(table, ratings=None, budget=None, reply=lambda messages, seed: "", **options):
    policy = ScriptedPolicy.from_table(table, reply=reply)
    reward = ScriptedReward.from_table(ratings or {})
    return run_one(
        policy, reward, make_search("tot", {**WITH_REPLACEMENT, **options}, budget=budget)
    )


LATE = {
    "": ["a\n", "b\n"],
    "a\n": ["c\n"],
    "a\nc\n": ["#### 1"],
    "b\n": ["d\n"],
    "b\nd\n": ["#### 2"],
}
"""What begins better ends worse."""
LATE_PAYS = {"a": p(0.9), "b": p(0.6), "c": p(0.2), "d": p(0.9), "#### 1": p(1.0), "#### 2": p(1.0)}


def test_breadth_keeps_what_begins_worse_and_ends_better():
    result = search(LATE, LATE_PAYS, branching=8, beam_size=2)
    assert (result.answer, result.outcome.stop_reason) == ("2", "finished")
    narrow = search(LATE, LATE_PAYS, branching=8, beam_size=1)
    assert narrow.answer == "1"


def test_depth_goes_back_from_what_falls_below_the_threshold():
    result = search(LATE, LATE_PAYS, order="depth", branching=8, threshold=0.3)
    assert (result.answer, result.outcome.stop_reason) == ("2", "finished")
    status = {node.trajectory.text: node.status for node in result.tree.nodes[1:]}
    assert status["a\nc\n"] == "dead" and status["b\nd\n"] == "chosen"
    first = [node.trajectory.text for node in result.tree.nodes].index("a\nc\n")
    assert first < [node.trajectory.text for node in result.tree.nodes].index("b\nd\n")


def test_depth_returns_the_best_of_all_that_it_finished():
    result = search(LATE, LATE_PAYS, order="depth", branching=8, threshold=0.0)
    values = {n.trajectory.text: n.value for n in result.tree.nodes if n.is_finished}
    assert values == {"a\nc\n#### 1": pytest.approx(0.18), "b\nd\n#### 2": pytest.approx(0.54)}
    assert result.answer == "2"


def test_depth_stops_before_it_draws_more_than_it_may():
    result = search(LATE, LATE_PAYS, order="depth", branching=8, max_draws=17, threshold=0.3)
    assert result.outcome.counts["iterations"] == 16
    assert result.outcome.stop_reason == "iterations"
    assert result.outcome.counts["fallbacks"] == 1


def test_depth_without_a_state_above_the_threshold_is_exhausted():
    result = search(LATE, {"a": -1, "b": -1}, order="depth", branching=8)
    assert (result.answer, result.outcome.stop_reason) == ("1", "exhausted")
    assert result.outcome.counts["fallbacks"] == 1


def shown_steps(messages):
    """Return the steps in the last turn, the last one last."""
    return messages[-1].content.split("\n")[1:-1]


def test_values_come_from_the_words_of_the_policy():
    hopes = {"a": "likely", "b": "sure", "#### 1": "sure", "#### 2": "sure"}

    def reply(messages, seed):
        return hopes.get(shown_steps(messages)[-1], "impossible")

    table = {"": ["a\n", "b\n"], "a\n": ["#### 1"], "b\n": ["#### 2"]}
    result = search(table, reply=reply, evaluation="value", branching=6, beam_size=1)
    assert result.answer == "2"
    values = {node.step.key: node.value for node in result.tree.nodes if node.depth == 1}
    assert values == {"a": pytest.approx(0.05), "b": 1.0}
    assert result.usage.reward_calls == 0 and result.outcome.counts["unreadable"] == 0
    asked = 3 * (len(result.tree.nodes) - 1)
    assert result.usage.policy_calls == result.outcome.counts["iterations"] + asked
    assert result.usage.policy_tokens > asked  # replies cost policy tokens


def test_votes_are_shared_among_the_states():
    def reply(messages, seed):
        *_, shown = messages
        better = re.search(r"Solution (\d+):\nb\n", shown.content + "\n")
        return "I cannot tell." if derive_seed(seed) % 4 == 0 else f"Solution {better[1]}."

    table = {"": ["a\n", "b\n"], "a\n": ["#### 1"], "b\n": ["#### 2"]}
    result = search(
        table, reply=reply, evaluation="vote", branching=6, beam_size=1, replies=20, max_steps=1
    )
    values = {node.step.key: node.value for node in result.tree.nodes if node.depth == 1}
    unreadable = result.outcome.counts["unreadable"]
    assert 0 < unreadable < 20
    assert values == {"a": 0.0, "b": 1.0}  # of those that could be read


def test_without_replacement_no_sibling_is_drawn_twice():
    result = search(LATE, LATE_PAYS, branching=8, beam_size=2, replace=False, first_greedy=True)
    assert (result.answer, result.outcome.counts["duplicates"]) == ("2", 0)
    assert result.outcome.counts["iterations"] == len(result.tree.nodes) - 1 == 6


def test_the_budget_ends_in_the_best_state_so_far():
    result = search(LATE, LATE_PAYS, Budget(policy_tokens=12), branching=3, reserve_tokens=3)
    assert (result.answer, result.outcome.stop_reason) == ("2", "budget")
    assert result.outcome.counts == {
        **{"iterations": 9, "duplicates": 5, "unreadable": 0, "fallbacks": 1}
    }


@pytest.mark.parametrize(
    "options",
    [
        {"order": "depth"},
        {"order": "depth", "threshold": 0.5, "branching": 2},
        {"evaluation": "value", "beam_size": 2},
        {"evaluation": "vote"},
        {"evaluation": "vote", "order": "depth"},
    ],
)
def test_the_public_contract_holds_with_options(options):
    check_strategy(strategy("tot")(**options), worlds=range(2))


def test_it_needs_a_reward_model_only_if_it_asks_one():
    tot = strategy("tot")
    assert tot.models == ("policy", "reward")
    assert tot(evaluation="vote").models == ("policy",)
    assert tot.with_texts({"evaluation": "value"}).for_budget(100).models == ("policy",)
