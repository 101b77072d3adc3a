from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.answers.equal import AnswerChecker, compare_fast

ROWS = [
    json.loads(line)
    for line in Path(__file__).with_name("hard_pairs.jsonl").read_text("utf-8").splitlines()
]
"""Each pair with the right verdict and those of other graders, from benchmarks/equality.py."""

KNOWN_ERRORS = {("30'", r"0.5^\circ"), (r"y=\frac{1}{x}", "xy=1")}
"""A lone prime is no unit here; equations that differ by a letter as a factor are told apart."""

FRAGMENTS = [
    "1",
    "12",
    "0.5",
    "x",
    "y",
    "i",
    "e",
    "\\pi",
    "+",
    "-",
    "\\pm",
    "=",
    "<",
    "\\le",
    "\\ne",
    ",",
    ";",
    ":",
    "(",
    ")",
    "[",
    "]",
    "\\{",
    "\\}",
    "{",
    "}",
    "|",
    "^",
    "_",
    "!",
    "%",
    "'",
    "/",
    "\\frac",
    "\\sqrt",
    "\\cup",
    "\\cap",
    "\\setminus",
    "\\infty",
    "\\emptyset",
    "\\mathbb{R}",
    "\\text{and}",
    "\\text{cm}",
    "\\text{no}",
    "or",
    "and",
    "cm^2",
    "5!",
    "9^",
    "\\sin",
    "\\log",
    "\\binom",
    "\\overline{3}",
    "\\degree",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
    "&",
    "\\\\",
    "$",
    "\\$",
    "\\in",
    "\\mid",
    "\\ldots",
    "√",
    "½",
    "²",
    "\u2212",
    "∞",
    "three",
    "million",
    "(A)",
    "3:30",
    "pm",
    "May",
    "\\boxed{",
    "####",
    "\\begin{vmatrix}",
    "\\end{vmatrix}",
    "\\equiv",
    "\\pmod{",
    "_5",
    "\\lfloor",
    "\\rfloor",
    "\\langle",
    "\\rangle",
]


@pytest.fixture(scope="module")
def checker() -> Iterator[AnswerChecker]:
    with AnswerChecker() as checker:
        yield checker


def test_hard_pairs_in_both_directions(checker: AnswerChecker) -> None:
    wrong = set()
    for row in ROWS:
        answer, reference = row["answer"], row["reference"]
        verdicts = {checker.compare(answer, reference), checker.compare(reference, answer)}
        if verdicts != {row["verdict"]}:
            wrong.add((answer, reference))
    assert wrong == KNOWN_ERRORS


def test_other_graders_make_more_errors() -> None:
    assert len(ROWS) >= 200
    own_equal = [row for row in ROWS if row["stepnav"] == "equal" != row["verdict"]]
    assert len(own_equal) <= 2
    errors = {
        name: sum(row[name] != row["verdict"] for row in ROWS)
        for name in ("stepnav", "math-verify", "Qwen2.5-Math")
    }
    assert errors["stepnav"] == len(KNOWN_ERRORS)
    assert errors["math-verify"] > 100 and errors["Qwen2.5-Math"] > 100, errors


def test_every_answer_equals_itself_and_none_equals_a_longer_list() -> None:
    for row in ROWS:
        for answer in (row["answer"], row["reference"]):
            assert compare_fast(answer, answer) == "equal", answer
            assert compare_fast(f"{answer}, 987", answer) != "equal", answer


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14), st.lists(st.sampled_from(FRAGMENTS)))
def test_any_two_texts_get_one_verdict_in_both_directions(
    left: list[str], right: list[str]
) -> None:
    a, b = " ".join(left), "".join(right)
    assert compare_fast(a, b) == compare_fast(b, a)
    assert compare_fast(a, a) == ("equal" if a.strip() else "different")


@pytest.mark.parametrize(
    "answer",
    [
        "9^{9^{9^{9}}}",
        "1" + "!" * 500,
        "(" * 1900,
        "{" * 900 + "x" + "}" * 900,
        r"\frac" * 390,
        "x^" * 900 + "2",
        "|" * 1999,
        ",".join(["x"] * 999),
        r"\{" + ",".join(str(n) for n in range(400)) + r"\}",
        "1000000!" + "+1000000!" * 200,
        r"\sin" * 490 + "1",
        r"\binom{1999}{999}" * 100,
        "(1+x)^{999}" * 150,
        r"\pm" * 600 + "1",
        r"\begin{vmatrix}" + r"\\".join("&".join("12345") for _ in range(5)) + r"\end{vmatrix}",
        "1 " * 999,
        r"\text{" * 300,
        "x<" * 900 + "1",
        "1\\cup " * 300,
        "9" * 1999,
        "e^{" * 600 + "9" + "}" * 600,
        "-" * 1999,
        r"x<\infty",
        r"1\overline{3}",
        "(.)",
        "0.1666..million",
        r"45\text{ deg^ees}",
    ],
)
def test_hostile_answers_are_settled_soon(answer: str) -> None:
    began = time.process_time()
    compare_fast(answer, r"\sqrt{2}")
    compare_fast(answer, answer + " ")
    assert time.process_time() - began < 2
