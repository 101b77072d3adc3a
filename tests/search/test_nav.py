"""Hand-worked searches of nav."""

import math

import pytest

from stepnav.build import strategy
from stepnav.core.budget import Budget
from stepnav.core.chances import as_seen
from stepnav.core.errors import ConfigError
from tests.worlds import drawn, p, search_table

TRAP = {
    "": ["a\n", "b\n"],
    "a\n": ["c\n", "e\n"],
    "a\nc\n": ["#### 1"],
    "a\ne\n": ["#### 3"],
    "b\n": ["d\n"],
    "b\nd\n": ["#### 2"],
}
"""What begins better ends worse."""
PAYS = {"a": p(0.9), "b": p(0.6), "c": p(0.02), "e": p(0.02), "d": p(0.95)} | {
    f"#### {n}": p(0.9) for n in (1, 2, 3)
}


def search(table=TRAP, pays=PAYS, budget=None, **options):
    return search_table("nav", table, pays, budget, **options)


def test_a_late_bad_step_lets_an_early_sibling_win():
    result = search()
    assert (result.answer, result.outcome.stop_reason) == ("2", "accepted")
    assert "a\nc\n" not in drawn(result)
    assert result.outcome.right_prob == result.outcome.votes["2"] >= 0.5
    chosen = [node.trajectory.text for node in result.tree.nodes if node.status == "chosen"]
    assert chosen == ["b\n", "b\nd\n", "b\nd\n#### 2"]


def test_two_ways_to_one_answer_add_up():
    table = {"": ["#### 1", "#### 2", "1 is it: #### 1"]}
    pays = {"#### 1": p(0.6), "#### 2": p(0.65), "1 is it: #### 1": p(0.6)}
    result = search(table, pays, stop=1.0)
    assert (result.answer, result.outcome.stop_reason) == ("1", "exhausted")
    assert sum(result.outcome.votes.values()) == pytest.approx(1.0)


def test_without_a_solution_the_likeliest_prefix_is_finished_and_rated():
    result = search(max_draws=1, max_ends=1, stop=0.9)
    assert (result.answer, result.outcome.stop_reason) == ("1", "iterations")
    assert result.outcome.counts == {"iterations": 1, "duplicates": 0, "fallbacks": 1}
    assert all(node.score is not None for node in result.tree.nodes[1:])


def test_several_prefixes_are_finished_where_nothing_was_accepted():
    table = {"": ["a\n", "b\n", "c\n"], "a\n": ["#### 1"], "b\n": ["#### 2"], "c\n": ["#### 2"]}
    doubted = {text: p(0.01) for text in ("a", "b", "c", "#### 1", "#### 2")}
    one, three = (search(table, doubted, max_draws=3, max_ends=n) for n in (1, 3))
    assert [found.outcome.counts["fallbacks"] for found in (one, three)] == [1, 3]
    assert [found.answer for found in (one, three)] == ["1", "2"]


def test_an_end_that_is_reached_again_counts_once():
    found = search({"": ["#### 1"]}, {"#### 1": p(0.2)}, max_draws=1, stop=0.9, offset=0.0)
    assert found.outcome.counts["fallbacks"] == 1
    assert found.outcome.votes == {"1": pytest.approx(0.25 / (0.25 + 0.02**0.5))}


def test_a_budget_keeps_the_end_of_a_first_solution_back_and_spends_all_after_it():
    budget = Budget(policy_tokens=30)
    begun = {"": [f"{n}\n" for n in range(40)]}
    begun |= {f"{n}\n" + "go\n" * depth: ["go\n"] for n in range(40) for depth in range(9)}
    kept = search(begun, {}, budget, reserve_tokens=20, stop=1.0)
    assert (kept.outcome.stop_reason, kept.outcome.counts["fallbacks"]) == ("budget", 1)
    ended = {"": [f"#### {n}" for n in range(40)]}
    spent = search(ended, {}, budget, reserve_tokens=20, stop=1.0)
    assert (spent.outcome.stop_reason, spent.outcome.counts["fallbacks"]) == ("budget", 0)
    assert spent.outcome.counts["iterations"] > kept.outcome.counts["iterations"]


def test_a_bad_solution_does_not_spend_what_is_kept_back_for_a_better_end():
    table = {"": ["#### 0"] + [f"{n}\n" for n in range(40)]}
    table |= {f"{n}\n" + "go\n" * depth: ["go\n"] for n in range(40) for depth in range(9)}
    pays = {"#### 0": p(1e-6)}
    result = search(table, pays, Budget(policy_tokens=30), reserve_tokens=20, stop=1.0)
    assert result.tree.nodes[1].trajectory.text == "#### 0"
    assert (result.outcome.stop_reason, result.outcome.counts["fallbacks"]) == ("budget", 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("stop", 0.0), ("offset", math.nan), ("right_low_slope", math.inf)],
)
def test_options_that_no_search_could_use_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"nav.{name} must be"):
        strategy("nav")(**{name: value})


def test_no_calibration_overflows():
    assert as_seen(0.5, 1.0, 1.0, -1e6) == pytest.approx(0, abs=1e-9)
    assert as_seen(0.5, 1.0, 1.0, 1e6) == pytest.approx(1)


def test_nothing_found_is_no_answer():
    result = search({"": ["a\n"], "a\n": ["b\n"], "a\nb\n": ["c\n"]}, max_draws=2, budget=None)
    assert result.outcome.stop_reason == "iterations"
    assert result.answer == "?"  # the greedy end of what is not listed


def test_waves_draw_as_many_at_once():
    result = search(width=2, replace=True, first_greedy=False, max_draws=4, stop=1.0)
    assert result.outcome.counts["iterations"] == 4
