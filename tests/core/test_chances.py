"""How a tree's chance is shared, and where the next steps are drawn."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.chances import Evidence, share_chances, where_to_draw
from stepnav.core.records import Problem, Step, StepScore
from stepnav.core.tree import Tree
from tests.worlds import p

PLAIN = Evidence(slope=1.0, offset=0.0, neutral=1.0, likelihood=1.0)


def grown(*steps, parent=0, tree=None):
    """Return a tree with steps `(text, value, probability)` below a node."""
    tree = tree or Tree(Problem("p", "?"))
    for text, value, probability in steps:
        step = Step(text, "step" if text.endswith("\n") else "end", logprob=math.log(probability))
        tree.add(tree.nodes[parent], step, None if value is None else p(value))
    return tree


def test_a_node_without_children_gains_all_its_chance():
    assert share_chances(Tree(Problem("p", "?")), PLAIN, 40) == ([1.0], [1.0])


def test_children_compete_with_each_other_and_with_what_was_not_drawn():
    """Odds 9 * .5, 1 * .25 and what is left, .25: shares of 5."""
    chances, gains = share_chances(grown(("a\n", 0.9, 0.5), ("b\n", 0.5, 0.25)), PLAIN, 40)
    assert chances == pytest.approx([1.0, 0.9, 0.05])
    assert gains == pytest.approx([0.05 * 0.25**0.5, 0.9, 0.05])


def test_a_late_bad_score_raises_an_early_sibling():
    tree = grown(("a\n", 0.9, 0.6), ("b\n", 0.7, 0.3))
    before, _ = share_chances(tree, PLAIN, 40)
    tree = grown(("c\n", 0.01, 0.98), parent=1, tree=tree)
    chances, gains = share_chances(tree, PLAIN, 40)
    assert before[1] > before[2]
    assert chances[1] < chances[2]
    assert max(range(len(gains)), key=gains.__getitem__) == 2
    tree = grown(("d\n", 0.99, 0.98), parent=2, tree=tree)  # a good one proves nothing new
    assert share_chances(tree, PLAIN, 40)[0][2] == pytest.approx(chances[2])


def test_what_is_said_after_a_rejected_step_is_no_evidence():
    """Reward models learn up to the first error."""
    tree = grown(("a\n", 0.01, 0.5))
    praised = grown(("b\n", 0.99, 0.5), ("c\n", 0.01, 0.25), parent=1, tree=tree)
    chances, _ = share_chances(praised, PLAIN, 40)
    assert chances[2] == pytest.approx(2 * chances[3])  # by their probabilities alone
    assert chances[2] + 2 * chances[3] == pytest.approx(chances[1])


def test_nothing_is_gained_where_nothing_can_be_drawn():
    tree = grown(("#### 2", 0.9, 0.5), ("#### 1", 0.9, 0.25), ("a\n", 0.9, 0.1))
    tree.add(tree.root, Step("b", "length", logprob=-1.0))
    tree.root.is_exhausted = True
    chances, gains = share_chances(tree, PLAIN, max_steps=1)
    assert gains == [0.0] * 5
    assert chances == pytest.approx([1.0, 2 / 3, 1 / 3, 0.0, 0.0])


def test_an_idle_step_is_worth_a_share_of_one_that_brings_the_answer_nearer():
    idle = StepScore(0.0, 1.0, 0.0)
    tree = grown(("a\n", None, 0.5))
    tree.set_score(tree.nodes[1], idle)
    evidence = replace(PLAIN, neutral=0.25)
    chances, _ = share_chances(tree, evidence, 40)
    assert chances[1] == pytest.approx((0.5 / 3) / (0.5 / 3 + 0.5))  # odds .25 / .75


def test_evidence_weighs_scores_and_is_never_surer_than_its_bound():
    tree = grown(("a\n", 1.0, 0.5), ("b\n", 0.0, 0.5))
    chances, _ = share_chances(tree, replace(PLAIN, slope=2.0), 40)
    assert chances[1] / chances[2] == pytest.approx(math.exp(12))
    chances, _ = share_chances(tree, replace(PLAIN, slope=0.0), 40)
    assert chances[1] == chances[2]


def test_where_the_policy_tells_no_probability_draws_are_counted():
    tree = Tree(Problem("p", "?"))
    child = tree.add(tree.root, Step("a\n"), p(0.5))
    tree.root.drawn += [child.step] * 3
    tree.count_duplicate(child)
    tree.count_duplicate(child)
    chances, _ = share_chances(tree, PLAIN, 40)
    assert chances[1] == pytest.approx(3 / 4)


def test_a_step_has_the_probability_of_all_ways_to_write_it():
    tree = Tree(Problem("p", "?"))
    twins = [Step("#### 1", "end", 1, ids, math.log(0.3)) for ids in ((1,), (3, 4), (3, 4))]
    tree.root.drawn += [*twins, Step("#### 2", "end", 1, (2,), math.log(0.4))]
    child = tree.add(tree.root, twins[0])
    tree.count_duplicate(child)
    tree.count_duplicate(child)
    tree.add(tree.root, tree.root.drawn[-1])
    chances, _ = share_chances(tree, PLAIN, 40)
    assert chances[1] / chances[2] == pytest.approx(0.6 / 0.4)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.floats(0, 1), st.floats(1e-6, 1), st.booleans()),
        max_size=12,
    ),
    st.floats(0, 3),
    st.floats(-3, 3),
    st.floats(0, 2),
)
def test_the_chance_is_never_made_and_lost_only_at_dead_ends(steps, slope, offset, likelihood):
    tree = Tree(Problem("p", "?"))
    for number, (parent, value, probability, ends) in enumerate(steps):
        node = tree.nodes[min(parent, len(tree.nodes) - 1)]
        if node.is_finished:
            continue
        step = Step(f"{number}", "end" if ends else "step", logprob=math.log(probability))
        tree.add(node, step, p(value))
    chances, gains = share_chances(tree, Evidence(slope, offset, 1.0, likelihood, 0.0), 40)
    for node in tree.nodes:
        below = sum(chances[index] for index in node.children)
        own = chances[node.index] if node.is_finished else below + gains[node.index]
        assert own == pytest.approx(chances[node.index], rel=1e-9, abs=1e-300)
    assert all(0 <= chance <= 1 + 1e-9 for chance in chances)
    tree.root.is_exhausted = True
    _, gains = share_chances(tree, Evidence(slope, offset, 1.0, likelihood, 0.0), 40)
    assert sum(gains) <= 1 + 1e-9


def test_a_wave_goes_on_at_a_node_at_half_its_gain():
    tree = grown(("a\n", 0.9, 0.5), ("b\n", 0.5, 0.25))
    found = where_to_draw(tree, [0.1, 0.9, 0.4], 4)
    assert [(node.index, n) for node, n in found] == [(1, 3), (2, 1)]
    assert where_to_draw(tree, [0.0, 0.0, 0.0], 4) == []
