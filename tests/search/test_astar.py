"""Hand-worked searches of A*, and the ranks of its prefixes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.build import strategy
from stepnav.core.budget import Budget
from stepnav.core.records import Problem, Step, StepScore
from stepnav.core.tree import Tree
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.search.astar import _Usual
from stepnav.search.expand import undrawn_prob
from stepnav.testing import check_strategy
from tests.worlds import WITH_REPLACEMENT, make_search, run_one


@pytest.mark.parametrize("ids", [None, (1, 2)])
def test_a_step_drawn_twice_leaves_what_it_left_when_drawn_once(ids):
    node = Tree(Problem("p", "?")).root
    node.drawn += [Step("a\n", "step", 1, ids, math.log(0.4))] * 2
    assert undrawn_prob(node) == pytest.approx(0.6)
    node.drawn.append(Step("a\n", "step", 1, (7,), math.log(0.1)))
    assert undrawn_prob(node) == pytest.approx(0.5)


def p(value):
    return StepScore(1 - value, 0.0, value)


def search(table, ratings=None, budget=None, **options):
    policy, reward = ScriptedPolicy.from_table(table), ScriptedReward.from_table(ratings or {})
    return run_one(
        policy, reward, make_search("astar", {**WITH_REPLACEMENT, **options}, budget=budget)
    )


TRAP = {
    "": ["a\n", "b\n"],
    "a\n": ["c\n"],
    "a\nc\n": ["#### 1"],
    "b\n": ["d\n"],
    "b\nd\n": ["#### 2"],
}
"""What begins better ends worse."""
PAYS = {"a": p(0.9), "b": p(0.6), "c": p(0.2), "d": p(0.9), "#### 1": p(1.0), "#### 2": p(1.0)}


@pytest.mark.parametrize("index", ["value", "gittins"])
def test_it_goes_back_to_what_is_now_the_most_promising(index):
    result = search(TRAP, PAYS, branching=8, index=index, horizon=3, replace=False)
    assert (result.answer, result.outcome.stop_reason) == ("2", "finished")
    entered = [n.trajectory.text for n in result.tree.nodes if n.children]
    assert entered == ["", "a\n", "b\n", "b\nd\n"]  # c was never continued
    assert result.outcome.counts["iterations"] == 5


def test_a_prefix_whose_steps_are_wrong_is_drawn_from_again():
    table = {"": ["a\n", "b\n", "c\n"], "c\n": ["#### 3"]}
    result = search(table, {"a": p(0.01), "b": p(0.01)}, branching=2, replace=False)
    first, second, third = [node.step.key for node in result.tree.nodes[1:4]]
    assert {first, second} == {"a", "b"} and third == "c"
    assert result.answer == "3"


def test_idle_steps_bring_nobody_nearer():
    idle, useful = node_of(0.8, "a\n", "b\n", "c\n"), node_of(0.8, "a\n", "b\n")
    seen = usual(values=[0.5], helpful={2: 2.0, 3: 0.1})  # P(+1) of the steps before, summed
    assert seen.rank(idle) < seen.rank(useful)


def test_what_was_drawn_lowers_the_rank():
    node = node_of(0.8, "a\n", "b\n")
    node.drawn = [Step("x\n", logprob=math.log(0.5)), Step("y\n", logprob=math.log(0.25))]
    assert usual().rank(node)[0] == pytest.approx(0.8 * 0.25)
    node.drawn = [Step("x\n"), Step("y\n")]
    assert usual().rank(node)[0] == pytest.approx(0.8 / 3)


def test_without_replacement_all_steps_that_there_are_are_drawn():
    result = search(TRAP, PAYS, branching=8, replace=False, first_greedy=True)
    assert (result.answer, result.outcome.counts["iterations"]) == ("2", 5)


def test_a_dear_token_makes_the_gittins_index_stop_at_once():
    """What begins with b is worth more than what is found at once, and costs more."""
    table = {"": ["#### 1", "b\n"], "b\n": ["#### 2"]}
    pays = {"#### 1": p(0.7), "b": p(0.9), "#### 2": p(0.9)}
    options = {"branching": 8, "index": "gittins", "horizon": 2}
    assert search(table, pays, **options).answer == "2"
    assert search(table, pays, token_price=0.05, **options).answer == "1"


def usual(index="value", horizon=4, branching=5, price=0.001, limit=math.inf, **seen):
    seen = {"tokens": [6, 10], "helpful": {0: 0.0, 1: 0.5, 2: 1.0, 3: 3.0}, **seen}
    return _Usual(index, horizon, branching, price, limit, **seen)


def node_of(value, *texts):
    tree = Tree(Problem("p", "?"))
    node = tree.root
    for text in texts:
        node = tree.add(node, Step(text, "step" if text.endswith("\n") else "end"))
    tree.set_value(node, value)
    return node


def test_the_ranks_are_those_of_the_formulas():
    node, cost = node_of(0.8, "a\n", "b\n"), 3 * 5 * 8
    assert usual().rank(node)[0] == pytest.approx(0.8)
    assert usual(values=[0.5]).rank(node)[0] == pytest.approx(0.8 * 0.5**3)
    assert usual(values=[0.5], lengths=[2.0]).rank(node)[0] == pytest.approx(0.8 * 0.5)
    assert usual(limit=16 + cost / 2).rank(node)[0] == pytest.approx(0.4)
    assert usual("gittins").rank(node)[0] == pytest.approx(0.8 - 0.001 * cost)
    seen = {"values": [0.5], "lengths": [2.0]}
    assert usual("gittins", **seen).rank(node)[0] == pytest.approx(0.8 - 0.001 * 40 / 0.5)
    assert usual("gittins", limit=16).rank(node)[0] == -math.inf


@given(
    st.floats(0, 1),
    st.integers(1, 30),
    st.lists(st.floats(0, 1)),
    st.lists(st.integers(1, 50), min_size=1),
    st.sampled_from(["value", "gittins"]),
)
def test_no_index_exceeds_the_value(value, horizon, values, tokens, index):
    node, done = node_of(value, "a\n"), node_of(value, "#### 1")
    spent = sum(tokens)
    ranks = [
        usual(index, horizon, limit=spent + left, values=values, tokens=tokens).rank(node)[0]
        for left in (0, 10, 100, math.inf)
    ]
    assert ranks == sorted(ranks) and ranks[-1] <= value
    assert usual(index, horizon, limit=0, values=values, tokens=tokens).rank(done)[0] == value


def test_a_search_whose_budget_ends_goes_deep():
    shallow, deep = node_of(0.9, "a\n"), node_of(0.8, "b\n", "c\n", "d\n")
    rich, poor = usual(branching=2), usual(branching=2, limit=36)
    assert rich.rank(shallow) > rich.rank(deep)
    assert poor.rank(shallow) < poor.rank(deep)


def test_the_strategy_is_told_the_budget():
    astar = strategy("astar")
    assert astar.for_budget(600).options["budget_tokens"] == 600
    assert astar.for_budget(None).options["budget_tokens"] is None
    assert "budget_tokens" not in astar.for_plan([500, 600]).options
    assert astar(budget_tokens=9).for_budget(600).options["budget_tokens"] == 9


def test_the_limits_of_draws_and_of_the_budget():
    result = search(TRAP, PAYS, branching=4, max_draws=9)
    assert result.outcome.counts["iterations"] == 8
    assert result.outcome.stop_reason == "iterations"
    assert result.outcome.trajectory.is_finished and result.outcome.counts["fallbacks"] == 1
    short = search(TRAP, PAYS, Budget(policy_tokens=7), branching=4)
    assert (short.outcome.stop_reason, short.outcome.counts["fallbacks"]) == ("budget", 1)
    closed = search({"": ["a\n"]}, branching=2, max_steps=1, replace=False)
    assert closed.outcome.stop_reason == "exhausted"


def test_the_public_contract_holds_with_the_gittins_index():
    check_strategy(strategy("astar")(index="gittins", token_price=0.01), worlds=range(2))
