"""ProcessBench's figures and the choice of a threshold."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.core.records import StepScore
from stepnav.measure.prm.case import Case
from stepnav.measure.prm.processbench import (
    Detection,
    best_threshold,
    by_chance,
    by_length,
    figures,
    first_below,
    first_rejected,
    report,
)
from stepnav.measure.prm.scores import split_by_problem


def scored(group: str, first_error: int | None, *values: float):
    case = Case(group, group, "?", ("s",) * len(values), True, first_error=first_error)
    return case, tuple(StepScore(1 - value, 0.0, value) for value in values)


def test_the_first_step_below_the_threshold():
    assert first_below([0.9, 0.5, 0.2], 0.5) == 2
    assert first_below([0.9, 0.5, 0.2], 0.51) == 1
    assert first_below([0.9, 0.5, 0.2], 0.2) is None


def test_the_first_step_rated_wrong():
    scores = (StepScore(0.3, 0.3, 0.4), StepScore(0.4, 0.3, 0.3), StepScore(1.0, 0.0, 0.0))
    assert first_rejected(scores) == 1
    assert first_rejected(scores[:1]) is None


def test_figures_by_hand():
    detections = [
        Detection("a", 1, 1),  # found
        Detection("b", 1, 0),  # too early
        Detection("c", 2, None),  # missed
        Detection("d", 0, 0),  # found
        Detection("e", None, None),  # nothing wrong, nothing found
        Detection("f", None, 3),  # false alarm
        Detection("g", None, None),
        Detection("h", None, None),
    ]
    found = figures(detections)
    assert found["error_accuracy"]["value"] == pytest.approx(2 / 4)
    assert found["error_accuracy"]["hits"] == 2
    assert found["correct_accuracy"]["value"] == pytest.approx(3 / 4)
    assert found["f1"]["value"] == pytest.approx(2 * 0.5 * 0.75 / 1.25)
    low, high = found["f1"]["ci95"]
    assert low < 0.6 < high


def test_f1_is_zero_when_one_accuracy_is_and_none_when_one_is_missing():
    assert figures([Detection("a", 0, None), Detection("b", None, None)])["f1"]["value"] == 0
    only_right = figures([Detection("b", None, None)])
    assert only_right["f1"]["value"] is None
    assert only_right["error_accuracy"]["value"] is None


def test_a_threshold_between_the_scores_is_found():
    values = [[0.9, 0.2], [0.8, 0.7], [0.95, 0.9, 0.3]]
    chosen = best_threshold(values, [1, None, 2])
    assert chosen is not None and 0.3 < chosen <= 0.7
    assert best_threshold(values, [1, 0, 2]) is None
    assert best_threshold([[0.5]], [None]) is None


def f1_at(threshold, values, errors):
    hits = [first_below(steps, threshold) == error for steps, error in zip(values, errors)]
    wrong = [hit for hit, error in zip(hits, errors) if error is not None]
    right = [hit for hit, error in zip(hits, errors) if error is None]
    one, two = sum(wrong) / len(wrong), sum(right) / len(right)
    return 2 * one * two / (one + two) if one + two else 0.0


solutions = st.lists(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.9, 1.0]), min_size=1, max_size=4).flatmap(
        lambda steps: st.tuples(st.just(steps), st.none() | st.integers(0, len(steps) - 1))
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(solutions)
def test_no_other_threshold_is_better(rows):
    values, errors = [r[0] for r in rows] + [[0.5], [0.5]], [r[1] for r in rows] + [None, 0]
    chosen = best_threshold(values, errors)
    assert 0 <= chosen <= 1
    grid = [n / 40 for n in range(41)]
    assert f1_at(chosen, values, errors) == pytest.approx(
        max(f1_at(t, values, errors) for t in grid)
    )


def some(count: int = 20):
    found = []
    for n in range(count):
        found.append(scored(f"p{n}", 1, 0.9, 0.1))
        found.append(scored(f"p{n}", None, 0.9, 0.8))
    return found


def test_the_threshold_comes_from_problems_that_are_not_reported_on():
    found = report(some(), dev_share=0.25)
    assert found["threshold_from"] == "dev"
    assert found["dev"]["problems"] == 5 and found["dev"]["solutions"] == 10
    assert found["test"] == {"problems": 15, "solutions": 30, "with_error": 15}
    assert 0.1 < found["threshold"] <= 0.8
    assert found["by_threshold"]["f1"]["value"] == 1
    assert found["by_rating"]["error_accuracy"]["value"] == 1
    assert found["by_rating_all"]["error_accuracy"]["solutions"] == 20
    assert found["auroc_first_errors"]["value"] == 1
    assert found["curve"][0] == [0.0, 0.0, 1.0, 0.0]


def test_a_given_threshold_reports_on_all():
    found = report(some(), threshold=0.85)
    assert found["dev"] is None and found["threshold_from"] == "given"
    assert found["test"]["solutions"] == 40
    assert found["by_threshold"]["correct_accuracy"]["value"] == 0
    assert found["by_threshold"]["error_accuracy"]["value"] == 1


def test_chance_is_what_a_model_that_knows_nothing_gets():
    cases = [scored(f"{n}", n % 4 if n % 2 else None, *[0.5] * (4 + n % 3))[0] for n in range(40)]
    found = by_chance(cases)
    assert found is not None
    draw = random.Random(0).random
    hits = {True: 0, False: 0}
    for _ in range(500):
        for case in cases:
            lot = first_below([draw() for _ in case.steps], found["rate"])
            hits[case.first_error is None] += lot == case.first_error
    assert found["error_accuracy"]["value"] == pytest.approx(hits[False] / 500 / 20, abs=0.01)
    assert found["correct_accuracy"]["value"] == pytest.approx(hits[True] / 500 / 20, abs=0.01)


def test_chance_at_its_best_rate_by_hand():
    # one wrong at its only step (hit at rate r), one right of one step (1 - r): best at a half
    found = by_chance([scored("a", 0, 0.5)[0], scored("b", None, 0.5)[0]])
    assert found is not None
    assert found["rate"] == 0.5
    assert found["f1"] == {"value": pytest.approx(0.5), "ci95": None}


def of_lengths(name: str, first_error: int | None, *lengths: int) -> Case:
    case, _ = scored(name, first_error, *[0.5] * len(lengths))
    return replace(case, steps=tuple("x" * length for length in lengths))


def test_length_is_chosen_on_one_part_and_measured_on_the_other():
    dev = [of_lengths("a", 1, 10, 40), of_lengths("b", None, 20, 20)]
    test = [of_lengths("c", 0, 31, 90), of_lengths("d", 1, 30, 25), of_lengths("e", None, 9, 19)]
    found = by_length(dev, test)
    assert found is not None and 20 <= found["characters"] < 40
    assert found["error_accuracy"]["value"] == 0.5
    assert found["correct_accuracy"]["value"] == 1
    assert by_length(dev[1:], test) is None
    assert by_length([], test) is None


def test_no_threshold_where_nothing_is_wrong():
    found = report([scored(f"p{n}", None, 0.9) for n in range(8)])
    assert found["threshold"] is None and found["by_threshold"] is None
    assert found["threshold_from"] is None
    assert found["by_rating"]["correct_accuracy"]["value"] == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.floats(0.01, 0.99), st.integers(0, 5))
def test_no_problem_is_in_both_parts(count, share, seed):
    items = some(count)
    part, rest = split_by_problem(items, share, seed, name="dev")
    assert {c.group for c, _ in part}.isdisjoint({c.group for c, _ in rest})
    assert part and rest and len(part) + len(rest) == len(items)
    assert split_by_problem(items[::-1], share, seed, name="dev")[0] == part[::-1]
