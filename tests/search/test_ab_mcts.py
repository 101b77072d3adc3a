"""Hand-worked searches of AB-MCTS, and the posteriors of its arms."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.build import strategy
from stepnav.core.budget import Budget
from stepnav.core.records import Problem, Step, StepScore
from stepnav.core.tree import Tree
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.search.ab_mcts import _Arms, _select
from stepnav.testing import check_strategy, random_world
from tests.worlds import make_search, run_one


def p(value):
    return StepScore(1 - value, 0.0, value)


def search(table, ratings=None, budget=None, seed=0, **options):
    policy, reward = ScriptedPolicy.from_table(table), ScriptedReward.from_table(ratings or {})
    return run_one(policy, reward, make_search("ab_mcts", options, budget=budget, seed=seed))


def starts(result):
    """Return how many solutions were drawn in all, and how many below the root."""
    return result.outcome.counts["samples"], result.outcome.counts["deeper"]


def below(arms):
    """Return a world where one first step is good: one in eight solutions from there is right."""
    bad = [f"x{i}\n" for i in range(arms - 1)]
    return {
        "": ["good\n", *bad],
        "good\n": ["#### 1", *[f"#### w{i}" for i in range(7)]],
        **{text: ["#### 0"] for text in bad},
    }


DEEP_PAYS = {
    "good": p(0.9),
    "#### 1": p(1.0),
    "#### 0": p(0.0),
    **{f"x{i}": p(0.0) for i in range(20)},
    **{f"#### w{i}": p(0.4) for i in range(7)},
}


def test_where_a_good_prefix_is_known_it_is_deepened():
    """Drawn at the root alone, 120 samples of 1 in 160 hold the answer in 53% of searches."""
    results = [search(below(20), DEEP_PAYS, seed=seed, samples=120) for seed in range(12)]
    assert sum(result.answer == "1" for result in results) >= 10
    drawn, deeper = (sum(counts) for counts in zip(*map(starts, results)))
    assert deeper > 0.6 * drawn


def test_where_all_prefixes_are_bad_it_widens():
    bad = [f"x{i}\n" for i in range(20)]
    table = {"": ["#### 1", *bad], **{text: ["#### 0"] for text in bad}}
    results = [search(table, DEEP_PAYS, seed=seed, samples=60) for seed in range(12)]
    assert sum(result.answer == "1" for result in results) >= 8
    drawn, deeper = (sum(counts) for counts in zip(*map(starts, results)))
    assert deeper < 0.45 * drawn


def test_a_solution_is_seen_by_the_arms_that_found_it():
    tree = Tree(Problem("p", "?"))
    start = tree.add(tree.root, Step("a\n"))
    middle = tree.add(start, Step("b\n"))
    leaf = tree.add(middle, Step("#### 1", "end"))
    arms = _Arms(0.5, random.Random(0))
    arms.observe(tree, start, leaf, 0.75)
    assert arms.posteriors == {
        ("new", start.index): [1.25, 0.75],
        ("new", middle.index): [1.25, 0.75],
        **{("old", node.index): [1.25, 0.75] for node in (tree.root, start, middle)},
        **{("child", node.index): [1.25, 0.75] for node in (start, middle, leaf)},
    }


def test_arms_are_pulled_as_thompson_sampling_pulls_them():
    """Beta(5, 1) is chosen as often as its draw exceeds that of Beta(1, 1): 5/6."""
    tree = Tree(Problem("p", "?"))
    good, other = tree.add(tree.root, Step("a\n")), tree.add(tree.root, Step("b\n"))
    arms = _Arms(1.0, random.Random(1))
    arms.posteriors[("child", good.index)] = [5.0, 1.0]
    arms.posteriors[("new", 0)], arms.posteriors[("old", 0)] = [1.0, 1e6], [1e6, 1.0]
    chosen = Counter(_select(tree, arms).index for _ in range(4000))
    assert set(chosen) == {good.index, other.index}
    assert chosen[good.index] / 4000 == pytest.approx(5 / 6, abs=0.02)


def test_finished_and_cut_nodes_are_not_drawn_from():
    tree = Tree(Problem("p", "?"))
    tree.add(tree.root, Step("#### 1", "end"))
    tree.mark(tree.add(tree.root, Step("a", "length")), "dead")
    assert all(_select(tree, _Arms(0.5, random.Random(i))) is tree.root for i in range(20))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 12))
def test_it_draws_as_many_as_it_is_told(world, samples):
    result = run_one(*random_world(world), make_search("ab_mcts", {"samples": samples}, seed=world))
    assert result.outcome.counts["samples"] == samples
    best = max(node.score.value for node in result.tree.nodes if node.is_finished)
    assert result.outcome.trajectory.is_finished and best > 0


def test_the_vote_adds_up_scores():
    table = {"": ["#### 1", "#### 2", "#### 2", "#### 2"]}
    pays = {"#### 1": p(0.9), "#### 2": p(0.8)}
    assert search(table, pays, samples=12).answer == "1"
    assert search(table, pays, samples=12, answer="vote").answer == "2"


def test_the_budget_ends_in_the_best_so_far():
    result = search(below(2), DEEP_PAYS, Budget(policy_tokens=40))
    assert result.outcome.stop_reason == "budget" and result.outcome.trajectory.is_finished
    assert result.usage.policy_tokens <= 40
    nothing = search({"": ["a b c d\n"]}, {}, Budget(policy_tokens=3))
    assert nothing.outcome.trajectory is None and nothing.outcome.counts["cut"] == 1


def test_the_public_contract_holds_with_a_vote():
    check_strategy(strategy("ab_mcts")(answer="vote", prior=1.0), worlds=range(2))
