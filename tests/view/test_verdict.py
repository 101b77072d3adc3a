from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from stepnav.core.budget import Usage
from stepnav.core.outcome import StopReason
from stepnav.view.lines import UNICODE, Canvas
from stepnav.view.verdict import STOP_TEXTS, answer_line, cost_line, print_verdict, program_lines
from tests.view.trees import backtracking_tree, pipe, printed, result_of

CANVAS = Canvas(100, UNICODE)


def test_every_stop_reason_has_a_text() -> None:
    assert set(STOP_TEXTS) == set(get_args(StopReason))


def test_the_verdict_of_a_search() -> None:
    console = pipe()
    print_verdict(console, result_of(backtracking_tree()), is_correct=True, reference="10")
    assert printed(console).splitlines() == [
        " Answer   10  right",
        " Stopped  the reward model accepted a finished solution · 7 iterations, 1 backtrack",
        " Cost     1,234 policy tokens in 7 calls, 56 reward tokens in 5 calls, 12 requests, "
        "3.2 GFLOP, 0.50 s",
    ]


@pytest.mark.parametrize(
    ("answer", "is_correct", "text"),
    [
        ("10", None, " Answer   10"),
        ("9", False, " Answer   9  wrong, it is 10"),
        (None, False, " Answer   none found  wrong, it is 10"),
        (None, None, " Answer   none found"),
        ("\x1b[31m[red]1\n0", True, " Answer   [red]1 0  right"),
    ],
)
def test_answers(answer: str | None, is_correct: bool | None, text: str) -> None:
    result = result_of(backtracking_tree(), answer=answer)
    line = answer_line(CANVAS, result, is_correct=is_correct, reference="10")
    assert line.plain == text


def test_votes_are_shown_and_cut() -> None:
    console = pipe()
    votes = {"10": 5.0, "9": 2.5, **{f"x{i}": 1.0 for i in range(6)}}
    print_verdict(console, result_of(backtracking_tree(), votes=votes))
    assert " Votes    10 (5), 9 (2.5), x0 (1), x1 (1), x2 (1), x3 (1) and 2 more" in printed(
        console
    )


def test_a_failed_search_says_why() -> None:
    console = pipe()
    result = result_of(
        backtracking_tree(), stop_reason="failed", counts={}, error="server said\n[red]500"
    )
    print_verdict(console, result)
    said = " Stopped  it failed: server said [red]500"
    assert said in printed(console).splitlines()


def test_costs_that_are_not_there_are_left_out() -> None:
    line = cost_line(Usage(policy_calls=1, policy_tokens=9, seconds=1.25, flops=None), 1).plain
    assert line == " Cost     9 policy tokens in 1 call, 1 request, 1.25 s"
    line = cost_line(Usage(policy_calls=2, policy_tokens=9, failed_tokens=3, flops=900), 2).plain
    assert (
        line == " Cost     9 policy tokens in 2 calls, 2 requests, 3 tokens lost, 900 FLOP, 0.00 s"
    )


def test_a_program_keeps_its_lines_and_its_indentation() -> None:
    answer = "    if x:\n        return \x1b[31m1\n"
    console = pipe()
    result = replace(result_of(backtracking_tree()), answer=answer)
    print_verdict(console, result, is_correct=False, reference="    return 2\n")
    assert printed(console).splitlines()[:5] == [
        " Answer   wrong: a program that fails",
        "              if x:",
        "                  return 1",
        "          a right one:",
        "              return 2",
    ]
    lines = program_lines(CANVAS, answer, is_correct=True, reference="    return 2\n")
    assert lines[0].plain == " Answer   right: a program that passes its tests"
    assert len(lines) == 3
