"""Hand-worked searches of the persistent pool."""

import pytest

from stepnav.build import strategy
from stepnav.core.budget import Budget
from stepnav.core.records import Problem, Step
from stepnav.core.tree import Tree
from stepnav.search.pool import mixture_weights
from tests.worlds import WITH_REPLACEMENT, drawn, p, search_table

TRAP = {
    "": ["trap\n", "way\n"],
    "trap\n": ["t1\n"],
    "trap\nt1\n": ["t2\n"],
    "trap\nt1\nt2\n": ["#### 1"],
    "way\n": ["w1\n"],
    "way\nw1\n": ["#### 2"],
}
RATINGS = {
    "trap": p(0.95), "t1": p(0.9), "t2": p(0.9), "#### 1": p(0.1),
    "way": p(0.5), "w1": p(0.6), "#### 2": p(0.9),
}  # fmt: skip
"""The better looking branch ends badly."""


@pytest.mark.parametrize("choice", ["subpool", "power"])
def test_a_prefix_that_lost_is_taken_up_again(choice):
    assert search_table("beam", TRAP, RATINGS, beam_size=1).answer == "1"
    result = search_table("pool", TRAP, RATINGS, choice=choice, beam_size=1, branching=8,
                          num_solutions=20, **WITH_REPLACEMENT)  # fmt: skip
    assert (result.answer, result.outcome.stop_reason) == ("2", "finished")


def test_a_random_part_of_the_pool_lets_an_early_loser_by():
    def first_after_the_root(share, seed):
        result = search_table("pool", TRAP, RATINGS, seed=seed, share=share, beam_size=1,
                              branching=8, num_solutions=1)  # fmt: skip
        return next(node.step.key for node in result.tree.nodes if node.depth == 2)

    assert {first_after_the_root(1.0, seed) for seed in range(20)} == {"t1"}
    assert {first_after_the_root(0.5, seed) for seed in range(20)} == {"t1", "w1"}


def test_an_extended_prefix_waits_until_all_are():
    options = {"beam_size": 1, "branching": 8, **WITH_REPLACEMENT}
    result = search_table("pool", TRAP, RATINGS, num_solutions=16, **options)
    assert drawn(result) == dict.fromkeys(TRAP, 8)
    result = search_table("pool", TRAP, RATINGS, num_solutions=99, **options)
    assert drawn(result) == dict.fromkeys(TRAP, 16)  # the second time nothing is new
    assert result.outcome.stop_reason == "exhausted"


def tree_of(copies):
    tree = Tree(Problem("p", "?"))
    for text, (number, value) in copies.items():
        node = tree.add(tree.root, Step(text))
        node.duplicates, node.value = number - 1, value
    return tree


def test_weights_are_scores_over_expected_draws():
    tree = tree_of({"a\n": (3, 0.5), "b\n": (1, 0.8)})
    deep = tree.add(tree.nodes[1], Step("c\n"))
    deep.value = 0.4
    weights = mixture_weights(tree, tree.nodes, {0: 8.0, 1: 2.0}, 2.0)
    assert weights == pytest.approx([1.0, 3 / 8 * 0.25, 1 / 8 * 0.64, 3 / 8 / 2 * 0.16])


def test_what_was_drawn_more_often_is_not_favoured():
    once = mixture_weights(t := tree_of({"a\n": (2, 0.5)}), t.nodes, {0: 4.0}, 1.0)
    twice = mixture_weights(t := tree_of({"a\n": (4, 0.5)}), t.nodes, {0: 8.0}, 1.0)
    assert once == twice


def test_solutions_are_gathered_until_the_budget_is_spent():
    assert strategy("pool").for_budget(100).options["num_solutions"] is None
    table = {"": ["a\n"] * 9 + ["b\n"], "a\n": ["#### 1"], "b\n": ["#### 2"]}
    result = search_table("pool", table, {}, Budget(policy_tokens=60), choice="power")
    assert result.usage.policy_tokens == 60
    assert result.outcome.stop_reason == "budget"
    assert result.outcome.counts["samples"] > 4


def test_the_best_prefix_is_finished_greedily_if_none_ends():
    table = {"": ["one two three\n"], "one two three\n": ["#### 1"]}
    result = search_table("pool", table, {}, Budget(policy_tokens=30), **WITH_REPLACEMENT)
    assert (result.answer, result.outcome.stop_reason) == ("1", "budget")
    assert result.outcome.counts["fallbacks"] == 1
    result = search_table("pool", {"": ["one two three\n"]}, {}, max_step_tokens=2)
    assert (result.answer, result.outcome.stop_reason) == ("?", "exhausted")


def test_every_prefix_is_extended_once_where_nothing_is_drawn_twice():
    result = search_table("pool", TRAP, RATINGS, num_solutions=99)
    assert drawn(result) == {prefix: len(steps) for prefix, steps in TRAP.items()}
    assert (result.answer, result.outcome.stop_reason) == ("2", "exhausted")
