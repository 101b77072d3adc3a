"""The equations of a step, and whether they hold."""

from __future__ import annotations

import gzip
import json
import re
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.answers.equations import MAX_CHARACTERS, equations, equations_hold

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize(
    "text",
    [
        "She paid 4 lollipops x $1.50 = $6.00 for them.",
        "10% of 50 = 5, and 1/2 of the 60 = 30 are left",
        r"So \$20 \times 3 = \$60, \(\frac{60}{4} = 15\) and $3 \cdot (4 + 1) = 15$.",
        "12 divided into 5 is 12/5 = 2.4, about 12/5 = 2 whole",
        "100/3 = 33.33 or 33.34 each",
        "2 + 3 = 5 * 4 = 20",
        "1,200 - 200 = 1,000 and 1 000 / 2 = 500",
        "- 4 + 5 = 9",
        "0.3333333333 * 60 = 20, 2000 / 75 = 26.666666666666668",
        "He has X = 9 because - 18 / -2 = 9, then 4 x 3=12",
        "1. 4 plus 5 = 9",
        "$1.50/lollipop * 4 lollipops = $6",
        "3 ^ 2 + 4**2 = 25",
        "10/50 * 100 = 20%, 10 / 50 = 20%",
        "<<48/2=24>>24 clips, 48/2 = <<48/2=24>>24",
    ],
)
def test_equations_that_hold(text: str) -> None:
    assert equations_hold(text) is True


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("Then 4 x $1.50 = $5 is what she paid", "4*1.50", "5"),
        ("In 3 days he ate 4 apples + 5 pears = 10 of them.", "4+5", "10"),
        ("10% of 50 = 4", "10*50", "4"),
        (r"\(12 \div 5 = 4\)", "12/5", "4"),
        ("2 + 2 = 5 = 5", "2+2", "5"),
        ("0.6*12=$7", "0.6*12", "7"),
        ("= 30 - 50 = 10", "30-50", "10"),
    ],
)
def test_equations_that_do_not(text: str, left: str, right: str) -> None:
    (false,) = [equation for equation in equations(text) if not equation.holds]
    assert (false.left, false.right) == (left, right)


@pytest.mark.parametrize(
    "text",
    [
        "x + 5 + 3 = 20, 2x + 5 = 14 and 5 - y = 3",
        "3a = -1, so a = -1/3; 2lw + 2lh + 2wh = 1704, PX = 1/3 DP = 6",
        "8/3 = 24/Y, 4 less than three times as many as cupcakes + 2 = 7",
        "the length of day 1 * 2 = 20",
        "0900 - 0130 = 0730",
        r"\lfloor 153/2 \rfloor + 10 = 86",
        "5 feet = 60 inches",
        "2 weeks + 3 days = 17 days, 2 dollars + 50 cents = 2.5 dollars",
        "twice 3 + 4 = 10, half of 20 + 5 = 15, 5 more than 3 + 4 = 12",
        "8:30 + 45 = 9:15 and 10 am + 4 = 2 pm",
        "28 / 1/5 = 140",
        "600 x 30 = 18 000",
        "50 + 20% = 60",
        "sqrt(9 + 16) = 5, C(5, 2) = 10, 3(4) + 1 = 13",
        "Cost - 4 + 5 = 9",
        "two * 5 = 11",
        "10 - 4 >= 7, 10 - 4 == 7, 2 + 2 != 5",
        "4 + 5 = ?",
        "4 + 5 = 10 - x",
        "2 + 2 = " + "1" * MAX_CHARACTERS,
        "",
    ],
)
def test_what_cannot_be_read_for_sure_is_no_false_equation(text: str) -> None:
    assert equations_hold(text) is not False


NUMBERS = st.integers(0, 10**6)


@given(st.lists(st.tuples(NUMBERS, st.sampled_from("+-*")), min_size=1, max_size=5), NUMBERS)
def test_any_equation_is_judged_by_its_value(parts: list[tuple[int, str]], last: int) -> None:
    left = "".join(f"{number} {sign} " for number, sign in parts) + str(last)
    value = eval(left)
    assert equations_hold(f"That is {left} = {value} in all.") is True
    assert equations_hold(f"That is {left} = {value + 1} in all.") is False


@given(NUMBERS, st.integers(1, 999), st.integers(0, 4))
def test_a_quotient_may_be_rounded_either_way(top: int, bottom: int, digits: int) -> None:
    scaled = Fraction(top, bottom) * 10**digits
    for shown in {floor(scaled), ceil(scaled)}:
        written, wrong = (Decimal(number).scaleb(-digits) for number in (shown, shown + 2))
        assert equations_hold(f"{top} / {bottom} = {written:f}") is True
        assert equations_hold(f"{top} / {bottom} = {wrong:f}") is False


@given(st.text(alphabet="0123456789+-*/=()., %$x\nabcof\\<>", max_size=200))
def test_no_text_is_an_error(text: str) -> None:
    equations(text)


def test_powers_that_are_too_big_are_not_worked_out() -> None:
    assert equations_hold("9^9^9^9 = 4") is None


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")
def test_nearly_all_of_gsm8ks_equations_are_read_and_hold() -> None:
    with gzip.open(DATA / "gsm8k" / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        answers = [json.loads(line)["answer"] for line in file]
    marks = sum(answer.count("<<") for answer in answers)
    lines = [s for answer in answers for s in re.sub(r"<<[^<>\n]*>>", "", answer).splitlines()]
    found = [equation for line in lines for equation in equations(line)]
    assert len(found) > 0.88 * marks
    assert sum(not equation.holds for equation in found) <= 30  # nearly all its own mistakes
