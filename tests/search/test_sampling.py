"""Hand-worked searches of the strategies that rank whole solutions, and of beam search."""

from dataclasses import replace

import pytest

from stepnav.core.budget import Budget
from stepnav.core.records import Problem, Step, StepScore
from stepnav.core.requests import BudgetSpent
from stepnav.core.tree import Tree
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.search.draw import fall_back
from stepnav.testing import random_world
from tests.worlds import WITH_REPLACEMENT, make_search, run_one

TABLE = {"": ["a\n", "b\n"], "a\n": ["#### 1"], "b\n": ["#### 2", "#### 3"]}
"""Half of all samples say 1, a quarter each 2 and 3."""


def p(value):
    return StepScore(1 - value, 0.0, value)


def search(strategy, ratings=None, table=TABLE, budget=None, **options):
    policy, reward = ScriptedPolicy.from_table(table), ScriptedReward.from_table(ratings or {})
    if strategy == "beam":
        options = {**WITH_REPLACEMENT, **options}
    return run_one(policy, reward, make_search(strategy, options, budget=budget))


def test_cot_is_greedy():
    result = search("cot", table={"": ["a\n", "b\n"], "a\n": ["#### 1", "#### 9"]})
    assert (result.answer, result.outcome.stop_reason) == ("1", "finished")
    assert result.usage.policy_calls == 1 and result.usage.reward_calls == 0


def test_cot_cut_by_the_budget():
    result = search("cot", budget=Budget(policy_tokens=1))
    assert result.outcome.stop_reason == "budget"
    assert result.answer is None


def test_majority():
    result = search("self_consistency", samples=200)
    assert result.answer == "1"
    assert sum(result.outcome.votes.values()) == 200
    assert result.outcome.trajectory.text.endswith("#### 1")


def test_the_reward_model_overrules_the_majority():
    ratings = {"a": p(0.1), "b": p(0.9), "#### 3": p(0.95), "#### 2": p(0.5)}
    assert search("best_of_n", ratings, samples=40).answer == "3"
    assert search("weighted_vote", ratings, samples=40).answer == "3"


def test_a_vote_weighs_numbers_too():
    ratings = {"a": p(0.6), "b": p(0.7)}
    assert search("best_of_n", ratings, samples=40).answer in {"2", "3"}
    assert search("weighted_vote", ratings, samples=40).answer == "1"


@pytest.mark.parametrize(
    ("aggregation", "answer"), [("last", "3"), ("min", "1"), ("mean", "3"), ("prod", "1")]
)
def test_aggregation_decides(aggregation, answer):
    ratings = {"a": p(0.5), "#### 1": p(0.5), "b": p(0.2), "#### 3": p(0.9), "#### 2": p(0.1)}
    assert search("best_of_n", ratings, samples=40, aggregation=aggregation).answer == answer


@pytest.mark.parametrize("strategy", ["self_consistency", "best_of_n", "weighted_vote"])
def test_sampling_spends_its_whole_budget(strategy):
    result = search(strategy, budget=Budget(policy_tokens=100))
    assert result.outcome.stop_reason == "budget"
    assert result.usage.policy_tokens == 100
    assert result.outcome.counts["samples"] == 33


def test_stepwise_best_of_k():
    ratings = {"a": p(0.3), "b": p(0.8), "#### 2": p(0.9), "#### 3": p(0.1)}
    result = search("beam", ratings, beam_size=1, branching=12)
    assert result.answer == "2"
    assert result.outcome.stop_reason == "finished"
    assert result.outcome.counts["duplicates"] == 20


def test_beam_keeps_what_a_greedy_choice_would_lose():
    ratings = {"a": p(0.6), "b": p(0.5), "#### 1": p(0.1), "#### 2": p(0.9), "#### 3": p(0.1)}
    assert search("beam", ratings, beam_size=1, branching=12).answer == "1"
    assert search("beam", ratings, beam_size=2, branching=12).answer == "2"


def test_beam_finishes_greedily_when_the_budget_ends():
    table = {"": ["one two three\n"], "one two three\n": ["#### 1"]}
    result = search("beam", table=table, budget=Budget(policy_tokens=16))
    assert result.outcome.stop_reason == "budget"
    assert result.outcome.counts["fallbacks"] == 1
    assert result.answer == "1"


@pytest.mark.parametrize("strategy", ["self_consistency", "weighted_vote"])
def test_free_text_is_chosen_by_its_score(strategy):
    """Nothing can be voted for: the best scored solution, without scores the first."""
    policy = ScriptedPolicy.from_table({"": ["Good.", "Better."]})
    reward = ScriptedReward.from_table({"Good.": p(0.4), "Better.": p(0.6)})
    free = replace(make_search(strategy, {"samples": 20}), extract=lambda text: None)
    result = run_one(policy, reward, free)
    assert result.answer is None and not result.outcome.votes
    drawn = result.tree.nodes[1].step.text
    assert result.outcome.trajectory.text == ("Better." if strategy == "weighted_vote" else drawn)


@pytest.mark.parametrize("world", range(12))
@pytest.mark.parametrize(
    ("strategy", "options"),
    [("beam", {"beam_size": 1}), ("beam", {"beam_size": 2}),
     ("beam", {"beam_size": 1, "answer": "vote"}), ("rebase", {"width": 3})],
)  # fmt: skip
def test_what_is_settled_begins_the_solution(world, strategy, options):
    policy, reward = random_world(world, depth=6)
    for tokens in (None, 12):
        budget = Budget(policy_tokens=tokens)
        result = run_one(policy, reward, make_search(strategy, options, seed=world, budget=budget))
        settled = [node.trajectory for node in result.tree.nodes if node.is_settled]
        solution = result.outcome.trajectory
        assert all(solution.text.startswith(prefix.text) for prefix in settled)


LATE = {"": ["a\n", "b\n"], "a\n": ["#### 1", "c\n"], "b\n": ["#### 2"], "a\nc\n": ["#### 3"]}
"""The better looking first step shows its fault only at the next."""
LATE_RATINGS = {"a": p(0.6), "b": p(0.5), "#### 1": p(0.1), "#### 2": p(0.9), "c": p(0.3)}


def test_lookahead_sees_where_a_step_leads():
    options = {"table": LATE, "beam_size": 1, "branching": 12, "aggregation": "last"}
    assert search("beam", LATE_RATINGS, **options).answer == "3"
    ahead = search("beam", LATE_RATINGS, lookahead=1, **options)
    assert (ahead.answer, ahead.outcome.stop_reason) == ("2", "finished")
    first = {node.step.key: node for node in ahead.tree.nodes[1:] if node.depth == 1}
    assert (first["a"].value, first["a"].score) == (p(0.1).value, p(0.6))
    assert first["b"].value == p(0.9).value


def test_a_step_that_a_rollout_took_may_be_drawn_and_kept():
    table = {"": ["a\n"], "a\n": ["b\n"], "a\nb\n": ["#### 1"]}
    result = search("beam", table=table, lookahead=2, beam_size=1, branching=2)
    assert (result.answer, result.outcome.stop_reason) == ("1", "finished")
    assert len(result.tree.nodes) == 4
    assert all(node.value is not None for node in result.tree.nodes[1:])


def test_a_rollout_that_is_cut_scores_what_it_has():
    table = {"": ["a\n"], "a\n": ["one two three\n"]}
    result = search("beam", {"a": p(0.7)}, table=table, lookahead=3, max_step_tokens=2)
    assert result.tree.nodes[1].value == p(0.7).value
    assert result.outcome.stop_reason == "exhausted"


@pytest.mark.parametrize("beam_size", [1, 2])
def test_the_end_of_a_rollout_below_a_worse_step_is_no_answer(beam_size):
    table = {"": ["a\n", "b\n"], "a\n": ["#### 1"], "b\n": ["c\n"], "b\nc\n": ["#### 2"]}
    ratings = {"a": p(0.1), "b": p(0.9)}
    result = search("beam", ratings, table=table, lookahead=1, beam_size=beam_size, branching=8,
                    max_steps=1)  # fmt: skip
    assert (result.answer, result.outcome.counts["fallbacks"]) == ("2", 1)


def test_where_nothing_can_be_drawn_the_best_of_the_ends_that_are_left_is_taken():
    tree, counts = Tree(Problem("p", "?")), {"fallbacks": 0}
    for number, value in enumerate([0.2, 0.8, 0.9, None]):
        end = tree.add(tree.root, Step(f"#### {number}", "end"))
        tree.set_value(end, value)
    tree.mark(tree.nodes[3], "dead")
    program = fall_back(tree, tree.add(tree.root, Step("b\n")), counts)
    next(program)
    with pytest.raises(StopIteration) as stop:
        program.throw(BudgetSpent("policy_tokens"))
    assert (stop.value.value.step.key, counts["fallbacks"]) == ("#### 1", 0)


def test_a_wide_start_draws_for_every_beam():
    def first_round(**options):
        return search("beam", beam_size=3, branching=5, max_steps=1, **options)

    assert first_round().outcome.counts["iterations"] == 5
    assert first_round(wide_start=True).outcome.counts["iterations"] == 15


def test_the_last_beams_may_vote():
    table = {"": ["#### 1", "#### 1", "#### 1", "#### 2"]}
    ratings = {"#### 1": p(0.5), "#### 2": p(0.6)}
    options = {"table": table, "beam_size": 1, "branching": 40}
    assert search("beam", ratings, **options).answer == "2"
    vote = search("beam", ratings, answer="vote", **options)
    assert vote.answer == "1"
    assert vote.outcome.counts["samples"] == 40


def test_siblings_differ_unless_they_are_replaced():
    result = search("beam", beam_size=1, branching=12, replace=False)
    assert result.outcome.counts == {"iterations": 3, "duplicates": 0, "fallbacks": 0}


def test_what_a_rollout_drew_is_a_proposal_that_costs_nothing():
    table = {"": ["a\n"], "a\n": ["b\n", "c\n"], "a\nb\n": ["#### 1"], "a\nc\n": ["#### 2"]}
    ratings = {"b": p(0.2), "c": p(0.9)}
    result = search("beam", ratings, table=table, lookahead=1, beam_size=1, branching=2,
                    replace=False)  # fmt: skip
    assert result.answer == "2"
    # a, its rollout b, c, and their rollouts of two words each: no step is paid for twice
    assert result.usage.policy_tokens == 1 + 1 + 1 + 2 + 2
    assert result.outcome.counts["iterations"] == 2


@pytest.mark.parametrize("strategy", ["beam", "rebase", "dvts", "pool"])
def test_nothing_is_kept_back_once_there_is_a_solution(strategy):
    """The first step ends it for half of the prefixes; the others are long."""
    table = {"": ["#### 1", "a\n"]} | {"a\n" * i: ["a\n"] for i in range(1, 40)}
    budget = Budget(policy_tokens=30)
    options = {"replace": True} if strategy == "dvts" else WITH_REPLACEMENT
    ratings = {"a": p(0.1)}
    result = search(strategy, ratings, table=table, budget=budget, reserve_tokens=14, **options)
    assert (result.answer, result.usage.policy_tokens) == ("1", 30)
