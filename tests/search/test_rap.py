"""Hand-worked searches of RAP, its bound and what it backs up."""

import math

import pytest

from stepnav.build import strategy
from stepnav.core.budget import Budget
from stepnav.core.errors import ConfigError
from stepnav.core.records import Draw, Problem, Step, StepScore
from stepnav.core.tree import Tree
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.search.evaluate import evaluate
from stepnav.search.rap import _bound
from stepnav.testing import check_strategy
from tests.search.test_tot import LATE, shown_steps
from tests.worlds import WITH_REPLACEMENT, make_search, run_one


def p(value):
    return StepScore(1 - value, 0.0, value)


def search(table, ratings=None, budget=None, reply=lambda messages, seed: "", **options):
    policy = ScriptedPolicy.from_table(table, reply=reply)
    reward = ScriptedReward.from_table(ratings or {})
    return run_one(
        policy, reward, make_search("rap", {**WITH_REPLACEMENT, **options}, budget=budget)
    )


TRAP = {"a": p(0.9), "b": p(0.7), "c": p(0.1), "d": p(0.9), "#### 1": p(0.5), "#### 2": p(0.9)}
"""The greedy first step has a mean of 0.5, the other one of 0.83."""


def test_planning_leaves_the_step_that_only_looks_best():
    assert search(LATE, TRAP, branching=8, samples=1).answer == "1"
    result = search(LATE, TRAP, branching=8, samples=4)
    assert (result.answer, result.outcome.stop_reason) == ("2", "finished")
    assert result.outcome.counts["iterations"] == 4
    nodes = {node.trajectory.text: node for node in result.tree.nodes}
    assert nodes["b\n"].value == pytest.approx((0.7 + 0.9 + 0.9) / 3)
    assert nodes["b\nd\n"].value == pytest.approx(0.9)
    assert nodes["a\n"].value == pytest.approx((0.9 + 0.1 + 0.5) / 3)
    assert nodes[""].visits == 4 == nodes["a\n"].visits + nodes["b\n"].visits


def test_a_bandit_is_pulled_most_at_its_best_arm():
    arms = {f"{i}\n": [f"#### {i}"] for i in range(4)}
    pays = {f"#### {i}": p(0.1 + 0.2 * i) for i in range(4)} | {str(i): p(0.5) for i in range(4)}
    result = search({"": list(arms), **arms}, pays, branching=40, samples=60, exploration=0.2)
    visits = {n.step.key: n.visits for n in result.tree.nodes if n.depth == 1}
    assert result.answer == "3"
    assert visits["3"] > 30 and min(visits.values()) >= 1


def test_without_replacement_it_plans_alike():
    result = search(LATE, TRAP, branching=8, samples=4, replace=False, first_greedy=True)
    assert (result.answer, result.outcome.counts["duplicates"]) == ("2", 0)


def test_the_bound_is_that_of_uct():
    tree = Tree(Problem("p", "?"))
    child = tree.add(tree.root, Step("a\n"))
    tree.set_value(tree.root, None, visits=9)
    tree.set_value(child, 0.5, visits=4)
    assert _bound(tree.root, 2.0, child) == pytest.approx(0.5 + 2 * math.sqrt(math.log(9) / 4))
    tree.set_value(child, 0.5)  # never gone through
    assert _bound(tree.root, 2.0, child) == pytest.approx(0.5 + 2 * math.sqrt(math.log(9)))


def test_an_idle_step_earns_nothing():
    """A remark that is not wrong (neutral) is not preferred to a step that helps."""
    table = {"": ["idle\n", "b\n"], "idle\n": ["#### 1"], "b\n": ["#### 2"]}
    result = search(table, {"idle": StepScore(0.0, 0.9, 0.1), "b": p(0.7)}, branching=8, samples=1)
    assert result.answer == "2"


def test_the_vote_adds_up_mean_rewards():
    table = {"": ["a\n", "b\n", "c\n"], "a\n": ["#### 1"], "b\n": ["#### 2"], "c\n": ["#### 2"]}
    pays = {"a": p(0.9), "b": p(0.6), "c": p(0.6)}
    options = {"branching": 30, "samples": 30}
    assert search(table, pays, **options).answer == "1"
    result = search(table, pays, answer="vote", **options)
    assert result.answer == "2"
    assert result.outcome.votes == {"2": pytest.approx(1.6), "1": pytest.approx(0.95)}


def test_the_policy_rates_itself():
    def reply(messages, seed):
        return "wrong" if shown_steps(messages)[-1] == "a" else "right"

    result = search(LATE, reply=reply, branching=8, samples=1, evaluation="rating")
    assert result.answer == "2"
    assert result.usage.reward_calls == 0
    assert strategy("rap")(evaluation="rating").models == ("policy",)


def test_likelihood_is_that_of_the_average_token():
    tree = Tree(Problem("p", "?"))
    node = tree.add(tree.root, Step("a b c\n", num_tokens=3, logprob=3 * math.log(0.5)))
    done = list(evaluate(tree, [node], {}, "likelihood", "last", replies=1))
    assert not done and node.value == pytest.approx(0.5)
    draw = Draw((1, 2, 3), (math.log(0.5),) * 3, (0.0,) * 3)  # begins with two known tokens
    node = tree.add(tree.root, Step("a b d\n", num_tokens=1, logprob=3 * math.log(0.5), draw=draw))
    assert not list(evaluate(tree, [node], {}, "likelihood", "last", replies=1))
    assert node.value == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="evaluation=likelihood needs log-probabilities"):
        search(LATE, evaluation="likelihood")


def test_dead_ends_are_not_entered_again():
    long = " ".join(["w"] * 9) + "\n"
    result = search(
        {"": [long, "b\n"], "b\n": ["#### 2"]}, branching=8, samples=3, max_step_tokens=5
    )
    assert result.answer == "2"
    assert search({"": [long]}, branching=4, max_step_tokens=5).outcome.stop_reason == "exhausted"


def test_the_budget_ends_in_a_greedy_solution():
    result = search(LATE, TRAP, Budget(policy_tokens=8), branching=4, reserve_tokens=2)
    assert result.outcome.stop_reason == "budget"
    assert result.outcome.trajectory.is_finished and result.outcome.counts["fallbacks"] == 1


@pytest.mark.parametrize("options", [{"answer": "vote"}, {"evaluation": "rating", "samples": 3}])
def test_the_public_contract_holds_with_options(options):
    check_strategy(strategy("rap")(**options), worlds=range(2))
