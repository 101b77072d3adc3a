"""Best-of-N expectations."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.core.records import StepScore
from stepnav.measure.prm.best_of_n import best_of, majority_of, report, sample_sizes
from stepnav.measure.prm.case import Case, GradedAnswer
from stepnav.measure.prm.plots import plot
from stepnav.measure.prm.tables import tables
from stepnav.measure.stats.intervals import pass_at_k


def test_sizes():
    assert sample_sizes(0) == []
    assert sample_sizes(1) == [1]
    assert sample_sizes(8) == [1, 2, 4, 8]
    assert sample_sizes(6) == [1, 2, 4, 6]


def test_best_of_by_hand():
    graded = [(0.9, False), (0.5, True), (0.1, False)]
    assert best_of(graded, 1) == pytest.approx(1 / 3)
    assert best_of(graded, 2) == pytest.approx(1 / 3)  # right only in {0.5, 0.1}
    assert best_of(graded, 3) == 0


def test_ties_are_broken_evenly():
    assert best_of([(0.5, True), (0.5, False), (0.5, False)], 3) == pytest.approx(1 / 3)


def brute_best(graded, n):
    subsets = list(combinations(graded, n))
    total = 0.0
    for subset in subsets:
        top = [right for score, right in subset if score == max(s for s, _ in subset)]
        total += sum(top) / len(top)
    return total / len(subsets)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.9]), st.booleans()), min_size=1, max_size=7
    ),
    st.data(),
)
def test_best_of_is_the_mean_over_all_subsets(graded, data):
    n = data.draw(st.integers(1, len(graded)))
    assert best_of(graded, n) == pytest.approx(brute_best(graded, n))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12), st.data())
def test_a_score_that_knows_the_truth_reaches_pass_at_n(rights, data):
    n = data.draw(st.integers(1, len(rights)))
    found = best_of([(float(right), right) for right in rights], n)
    assert found == pytest.approx(pass_at_k(len(rights), sum(rights), n))


def test_majority_by_hand():
    answers, right = ["4", "5", "4", None], [True, False, True, False]
    assert majority_of(answers, right, 1) == pytest.approx(2 / 4)
    # {4,5} .5, {4,4} 1, {4,-} 1, {5,4} .5, {5,-} 0, {4,-} 1
    assert majority_of(answers, right, 2) == pytest.approx(4 / 6)
    assert majority_of(answers, right, 4) == 1
    assert majority_of([None, None], [False, False], 2) == 0


def test_majority_over_drawn_subsets_is_near_the_expectation_and_repeats():
    answers = ["r"] * 12 + ["w"] * 8
    right = [True] * 12 + [False] * 8
    found = majority_of(answers, right, 5, seed=1)  # C(20, 5) = 15504 subsets
    assert found == majority_of(answers, right, 5, seed=1)
    exact = sum(sum(a < 12 for a in subset) >= 3 for subset in combinations(range(20), 5)) / 15504
    assert found == pytest.approx(exact, abs=0.06)


def solved(group: str, right: bool | None, *values: float, answer: str | None = None):
    case = Case(
        "", group, "?", ("s",) * len(values), True, graded=GradedAnswer(right, answer, None)
    )
    return case, tuple(StepScore(1 - value, 0.0, value) for value in values)


def test_a_report_by_hand():
    scored = [
        solved("a", True, 0.9, 0.9),  # product 0.81, minimum 0.9, last 0.9
        solved("a", False, 0.85, 0.96),  # product 0.816, minimum 0.85, last 0.96
        solved("b", False, 0.5),
        solved("b", None, 1.0),
    ]
    found = report(scored)
    assert (found["problems"], found["solutions"], found["ungraded"]) == (2, 3, 1)
    one, two = found["n"]
    assert one["n"] == 1 and one["problems"] == 2 and one["short"] == 0
    assert one["prod"]["value"] == pytest.approx(0.25)
    assert one["pass"]["value"] == pytest.approx(0.25)
    assert two["problems"] == 1 and two["short"] == 1
    assert two["min"]["value"] == 1
    assert two["last"]["value"] == two["prod"]["value"] == two["mean"]["value"] == 0
    assert two["pass"]["value"] == 1
    assert two["majority"]["value"] is None
    assert found["auroc_within"]["min"]["value"] == 1  # of a's only pair
    assert found["auroc"]["prod"]["value"] == 0.5  # of the pairs with b too
    assert found["auroc_within"]["prod"]["value"] == 0


def test_rounding_of_a_sum_or_product_breaks_no_tie():
    scored = [
        solved("a", True, 0.4, 0.4),  # mean 0.4, as floats a little more than the other's
        solved("a", False, 0.1, 0.7),
        solved("b", False, 0.1, 0.9),  # product 0.09, as floats a little more
        solved("b", True, 0.3, 0.3),
        solved("b", False, 0.0, 0.0),
    ]
    found = report(scored[:2])
    assert found["n"][-1]["mean"]["value"] == found["auroc_within"]["mean"]["value"] == 0.5
    found = report(scored[2:])
    assert found["n"][-1]["prod"]["value"] == 0.5
    assert found["auroc_within"]["prod"]["value"] == 0.75


def test_the_end_of_a_long_title_is_in_the_plot():
    figures = report([solved("a", True, 0.4), solved("a", False, 0.1)])
    one, other = (plot("best-of-n", figures, title=f"{'folder/' * 20}{end}") for end in "ab")
    assert one != other


def answered(group, right, text, **more):
    """Return a solution with a text, an answer that the file gives, or one that it says is none."""
    graded = GradedAnswer(right, more.pop("answer", None), None)
    steps = tuple(text.split("\n"))
    case = Case("", group, "?", steps, True, graded=graded, **more)
    return case, (StepScore(0.5, 0.0, 0.5),) * len(steps)


def test_votes_are_the_files_else_those_that_texts_mark_else_unknown():
    scored = [
        answered("a", True, "4 - 1 = 3\n#### 3"),
        answered("a", True, "", answer="3"),
        answered("a", False, r"It is \boxed{7}."),
        answered("b", True, "#### First\nThe answer is $12$."),
        answered("b", False, "cut", is_unanswered=True),
        answered("c", True, "return 12"),  # a program has no last number
        answered("c", False, "the answer is 1"),
        answered("d", True, "#### 5", is_unanswered=True),  # the file says that it is none
    ]
    one, two, _ = report(scored)["n"]
    assert (one["problems"], one["voted"], two["voted"]) == (4, 2, 2)
    of_these = report(scored[:5])["n"]
    assert one["majority"]["value"] == of_these[0]["pass"]["value"] == pytest.approx(7 / 12)
    assert of_these[2]["majority"]["value"] == 1
    [table, _] = tables({"kind": "best-of-n", "figures": report(scored)})
    assert table.rows[0][3].endswith(", 2 problems") and "problems" not in table.rows[0][2]


def test_spellings_of_one_answer_vote_together():
    spellings = ("4", "4.0", "$4$")
    scored = [answered("a", True, "", answer=one) for one in spellings]
    scored += [answered("a", False, "", answer="5")] * 2
    assert report(scored)["n"][-1]["majority"]["value"] == 1


def test_nothing_graded_is_nothing_reported():
    found = report([solved("a", None, 0.5)])
    assert found["n"] == [] and found["ungraded"] == 1
    assert found["auroc"]["prod"]["value"] is None
