"""Hand-worked walks of value-guided backtracking."""

import math

import pytest

from stepnav.core.budget import Budget
from stepnav.core.records import Problem, Step
from stepnav.core.tree import Tree
from stepnav.search.expand import add_steps
from stepnav.search.vgb import policy_shares
from tests.worlds import WITH_REPLACEMENT, drawn, p, search_table

DELAYED = {"": ["a\n", "b\n"], "a\n": ["#### 1"], "b\n": ["#### 2"]}
RATINGS = {"a": p(0.9), "b": p(0.9), "#### 1": p(0.01), "#### 2": p(0.9)}
"""Which first step was wrong is only seen at the second."""


@pytest.mark.parametrize("redraw", [True, False])
def test_the_walk_goes_back_from_a_step_that_leads_nowhere(redraw):
    found = [
        search_table("vgb", DELAYED, RATINGS, seed=seed, redraw=redraw, branching=8, max_moves=200)
        for seed in range(10)
    ]
    assert [result.answer for result in found] == ["2"] * 10
    assert all(result.outcome.counts["backtracks"] > 0 for result in found)


def test_time_at_solutions_is_policy_times_value_whatever_the_values_before():
    """The walk is reversible: wrong values inside do not bend what it tells of the ends."""
    table = {"": ["a\n", "b\n", "b\n"], "a\n": ["#### 1", "#### 2"], "b\n": ["#### 3"]}
    ratings = {"a": p(0.9), "b": p(0.3), "#### 1": p(0.8), "#### 2": p(0.2), "#### 3": p(0.5)}
    result = search_table("vgb", table, ratings, max_moves=60_000, branching=12,
                          aggregation="last", **WITH_REPLACEMENT)  # fmt: skip
    nodes = result.tree.nodes
    weights = {}
    for leaf in (node for node in nodes if node.is_finished):
        weight = leaf.value
        for node in result.tree.path(leaf):
            siblings = [nodes[i] for i in nodes[node.parent].children]
            weight *= (1 + node.duplicates) / sum(1 + sibling.duplicates for sibling in siblings)
        weights[leaf.step.key[-1]] = weight
    votes = result.outcome.votes
    for answer in "23":
        assert votes[answer] / votes["1"] == pytest.approx(weights[answer] / weights["1"], rel=0.15)


def test_visits_are_counted_and_half_of_the_moves_stay():
    result = search_table("vgb", DELAYED, RATINGS, max_moves=1000, redraw=True, **WITH_REPLACEMENT)
    nodes = result.tree.nodes
    assert sum(node.visits or 0 for node in nodes) <= 1000
    assert sum(result.outcome.votes.values()) == sum(n.visits or 0 for n in nodes if n.is_finished)
    assert result.outcome.stop_reason == "iterations"
    # a move that does not stay draws four steps at an open prefix: fewer than 500 of them
    assert 0 < result.outcome.counts["iterations"] < 4 * 550


def test_shares_are_probabilities_where_they_are_known():
    tree = Tree(Problem("p", "?"))
    for text, prob, copies in (("a", 0.3, 1), ("b", 0.3, 3)):
        node = tree.add(tree.root, Step(text, logprob=math.log(prob)))
        node.duplicates = copies - 1
    children = tree.nodes[1:]
    assert policy_shares(tree, children, by_probability=True) == [0.5, 0.5]
    assert policy_shares(tree, children, by_probability=False) == [0.25, 0.75]
    unknown = tree.add(tree.root, Step("c"))
    assert policy_shares(tree, [*children, unknown], by_probability=True) == [0.2, 0.6, 0.2]


def test_shares_of_impossible_steps_are_how_often_they_were_drawn():
    tree = Tree(Problem("p", "?"))
    children = [tree.add(tree.root, Step(text, logprob=-math.inf)) for text in "ab"]
    children[0].duplicates = 2
    assert policy_shares(tree, children, by_probability=True) == [0.75, 0.25]


def test_a_share_counts_every_way_to_write_a_step():
    tree = Tree(Problem("p", "?"))
    steps = [Step("a", "step", 1, ids, math.log(0.2)) for ids in ((1,), (2, 3), (2, 3))]
    tree.root.drawn += [*steps, Step("b", "step", 1, (4,), math.log(0.4))]
    children = add_steps(tree, tree.root, tree.root.drawn, {"duplicates": 0})
    assert policy_shares(tree, children, by_probability=True) == pytest.approx([0.5, 0.5])


def test_redrawing_is_an_option():
    fresh = search_table("vgb", DELAYED, RATINGS, max_moves=60, redraw=True, **WITH_REPLACEMENT)
    kept = search_table("vgb", DELAYED, RATINGS, max_moves=60, **WITH_REPLACEMENT)
    assert drawn(fresh)[""] > drawn(kept)[""] == 4


def test_the_place_of_the_walk_is_finished_greedily_if_it_met_no_solution():
    table = {"": ["one two three\n"], "one two three\n": ["#### 1"]}
    result = search_table(
        "vgb", table, {}, Budget(policy_tokens=15), branching=4, **WITH_REPLACEMENT
    )
    assert (result.answer, result.outcome.stop_reason) == ("1", "budget")
    assert result.outcome.counts["fallbacks"] == 1


def test_a_walk_with_nowhere_to_go_stays():
    result = search_table("vgb", {"": ["one two three\n"]}, {}, max_step_tokens=2, max_moves=20)
    assert (result.answer, result.outcome.stop_reason) == ("?", "iterations")
    assert result.outcome.counts["backtracks"] == 0


def test_nothing_is_kept_back_once_there_is_a_solution():
    budget = Budget(policy_tokens=40)
    result = search_table("vgb", DELAYED, RATINGS, budget, redraw=True, reserve_tokens=15,
                          **WITH_REPLACEMENT)  # fmt: skip
    assert result.answer == "2"
    assert result.usage.policy_tokens == 40
