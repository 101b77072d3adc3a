"""Hand-worked searches of DVTS."""

from stepnav.build import strategy
from stepnav.core.budget import Budget
from tests.worlds import drawn, p, search_table

AGAIN = {"replace": True}
"""As published: what was drawn may be drawn again."""

TRAP = {"": ["trap\n", "way\n"], "trap\n": ["#### 1"], "way\n": ["#### 2"]}
RATINGS = {"trap": p(0.9), "way": p(0.6), "#### 1": p(0.2), "#### 2": p(0.8)}
"""The better first step leads to the worse solution."""


def test_a_subtree_that_never_sees_the_trap_finds_the_way():
    one = search_table("dvts", TRAP, RATINGS, num_subtrees=1, branching=16, **AGAIN)
    many = search_table("dvts", TRAP, RATINGS, num_subtrees=8, branching=2, **AGAIN)
    assert one.answer == search_table("beam", TRAP, RATINGS, beam_size=1).answer == "1"
    assert many.answer == "2"
    assert drawn(many) == {"": 16, "trap\n": 12, "way\n": 4}
    assert many.outcome.counts["subtrees"] == 8


def test_subtrees_may_vote():
    result = search_table("dvts", TRAP, {**RATINGS, "#### 1": p(0.5)}, num_subtrees=8,
                          branching=2, answer="vote", **AGAIN)  # fmt: skip
    assert result.outcome.votes == {"1": 3.0, "2": 1.6}  # six and two of eight
    assert result.answer == "1"


def test_subtrees_are_grown_until_the_budget_is_spent():
    assert strategy("dvts").for_budget(100).options["num_subtrees"] is None
    assert strategy("dvts").for_budget(None).options["num_subtrees"] == 4
    result = search_table("dvts", TRAP, RATINGS, Budget(policy_tokens=61), branching=2, **AGAIN)
    # two steps of one word and two of two words a subtree; the eleventh begins with one token
    assert result.usage.policy_tokens == 61
    assert result.outcome.counts["subtrees"] == 11
    assert result.outcome.stop_reason == "budget"
    assert result.outcome.counts["fallbacks"] == 0


def test_side_by_side_and_one_after_the_other_draw_alike():
    result = search_table("dvts", TRAP, RATINGS, num_subtrees=6, wave=2, **AGAIN)
    assert result.outcome.counts["subtrees"] == 6
    assert sum(drawn(result).values()) == 6 * 2 * 4


def test_nothing_is_kept_back_once_a_subtree_has_ended():
    budget = Budget(policy_tokens=24)
    result = search_table("dvts", TRAP, RATINGS, budget, branching=2, reserve_tokens=12, **AGAIN)
    assert result.usage.policy_tokens == 24


def test_a_prefix_is_finished_greedily_if_no_subtree_ends():
    table = {"": ["one two three\n"], "one two three\n": ["#### 1"]}
    result = search_table("dvts", table, {}, Budget(policy_tokens=8), branching=2, **AGAIN)
    assert (result.answer, result.outcome.stop_reason) == ("1", "budget")
    assert result.outcome.counts["fallbacks"] == 1
    long = {"": ["a\n"], "a\n": ["b\n"], "a\nb\n": ["#### 1"]}
    result = search_table("dvts", long, {}, max_steps=2)
    assert (result.answer, result.outcome.stop_reason) == ("1", "length")
    result = search_table("dvts", {"": ["one two three\n"]}, {}, max_step_tokens=2)
    assert (result.answer, result.outcome.stop_reason) == ("?", "exhausted")


def test_siblings_of_a_round_differ_and_subtrees_do_not_exclude_each_other():
    result = search_table("dvts", TRAP, RATINGS, num_subtrees=3, branching=2)
    assert drawn(result) == {"": 6, "trap\n": 3}  # each subtree sees both, and takes the trap
    assert result.answer == "1"
