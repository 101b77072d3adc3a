import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.errors import QUOTE_CHARACTERS, nearest, quote
from stepnav.core.records import Problem, Step, StepScore, Trajectory


def test_rating_is_the_likeliest_class():
    assert StepScore(0.2, 0.3, 0.5).rating == 1
    assert StepScore(0.2, 0.5, 0.3).rating == 0
    assert StepScore(0.6, 0.3, 0.1).rating == -1


def test_doubt_rejects():
    assert StepScore(0.5, 0.0, 0.5).rating == -1
    assert StepScore(0.0, 0.5, 0.5).rating == 0


def test_value_counts_neutral_as_right():
    assert StepScore(0.25, 0.5, 0.25).value == 0.75


@pytest.mark.parametrize("probs", [(0.5, 0.5, 0.5), (0, 0, 0), (math.nan, 0.5, 0.5)])
def test_probabilities_must_sum_to_one(probs):
    with pytest.raises(ValueError, match="sum to 1"):
        StepScore(*probs)


@given(st.sampled_from([-1, 0, 1]))
def test_sure_score_has_its_rating(rating):
    assert StepScore.from_rating(rating).rating == rating


def test_extending_leaves_the_prefix_alone():
    prefix = Trajectory(Problem("p", "q"), (Step("a\n"),))
    longer = prefix.extend(Step("#### 1", "end"))
    assert prefix.text == "a\n" and not prefix.is_finished
    assert longer.text == "a\n#### 1" and longer.is_finished
    assert not Trajectory(Problem("p", "q")).is_finished


def test_foreign_text_is_quoted_on_one_line_and_cut():
    assert quote("a\nb") == r"'a\nb'"
    assert len(quote("x" * 1000)) == QUOTE_CHARACTERS + len("'...'")


def test_nearest_name():
    assert nearest("hgz", ["cot", "hgs"]) == " (did you mean 'hgs'?)"
    assert nearest("entirely else", ["cot", "hgs"]) == ""


def test_indentation_tells_steps_apart_and_blank_lines_do_not():
    inner, outer = Step("\n        return x\n"), Step("    return x")
    assert inner.key == "        return x"
    assert inner.key != outer.key
    assert Step("  \n \n    return x  \n\n").key == outer.key
    assert Step(" \n ").key == ""
