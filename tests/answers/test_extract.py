from __future__ import annotations

import time

import pytest

from stepnav.answers.canonical import canonical, clean
from stepnav.answers.extract import (
    as_answer,
    extract_answer,
    extract_number,
    last_boxed,
    last_number,
    marked_answer,
    stated_number,
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("5 + 5 = 10\n#### 10", "10"),
        (r"\boxed{3}, see" + "\n#### Step 2", "3"),
        ("The answer is $x+1$.\n#### Step 4", "x+1"),
        (
            r"\boxed{7} is what \boxed{\frac{1}{\sqrt{2}}} says; the answer is 9",
            r"\frac{1}{\sqrt{2}}",
        ),
        (r"a set \boxed{\{1, 2\}}.", r"\{1, 2\}"),
        (r"short form \boxed 7", "7"),
        (r"broken \boxed{3 + 4 but the answer is 5", "5"),
        ("The answer is 5. I checked it 2 times.", "5"),
        ("The answer is 20 dollars after 5 days.", "20"),
        (r"The answer is \frac{3}{4}.", r"\frac{3}{4}"),
        ("The final answer is 12 + 5 = 17.", "17"),
        ("**Answer:** 42 apples", "42"),
        (r"The answer is $\frac{3}{4}$.", r"\frac{3}{4}"),
        ("First answer: 3\nSecond answer: 4", "4"),
        ("She has 9 left.\nA: 9", "9"),
        ("so 2 + 3 = -5", "-5"),
        ("it costs 3.50 dollars", "3.50"),
        ("a half is 1/2", "1/2"),
        ("the answer is unknown, but 8 came out\nwell", "8"),
        ("no digits here", None),
        ("", None),
    ],
)
def test_order_of_search(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("$18$", "18"),
        (r"\(x+1\)", "x+1"),
        ("18.", "18"),
        ("$18", "18"),
        ("18 dollars", "18"),
        ("18%", "18"),
        (r"\$18.50", "18.50"),
        ("**18**", "18"),
        ("2 pi", "2 pi"),
        ("3 apples and 4 pears", "3 apples and 4 pears"),
        ("x", "x"),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("18 dollars a day", "18"),
        ("Step 2", None),
        ("Step 2: 8 eggs", "8"),
        ("3 + 4", "3"),
        ("3 + 4 = 7, not 8", "7"),
        ("none", None),
        ("1/0", None),
    ],
)
def test_stated_number(line: str, number: str | None) -> None:
    assert stated_number(line) == number


def test_a_number_task_reads_marks_from_the_last_to_the_first() -> None:
    assert extract_number("#### 3\n#### $1,200.") == "1200"
    assert extract_number("#### 1\n\nQuestion: next?\n####") == "1"
    assert extract_number("####Solve the problem") is None
    assert extract_number("#### 4\n\\boxed{5}") == "5"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 12 000", "12000"),
        ("#### -$1 234 567.50 a year", "-1234567.5"),
        (r"\boxed{12 345 dollars}", "12345"),
        ("#### 12\u202f000", "12000"),
        ("#### 12\u00a0345", "12345"),
        ("She pays 12\u2009345.", "12345"),
        ("She pays 12 000.", "12000"),
        ("The answer is 1 050 dollars.", "1050"),
        ("The answer is 12\u00a0345 dollars.", "12345"),
        ("She has rooms 5 and 12 345", "345"),
        ("#### 3 1/2", "3.5"),
        ("#### 3 100/200", "3.5"),
        ("#### 3 100-gram bags", "3"),
        ("#### 3 1000", "3"),
        ("#### 2024 000", "2024"),
    ],
)
def test_digits_in_groups_are_one_number(text: str, number: str) -> None:
    assert extract_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 12 = 3 * 4", "12"),
        ("#### 12 dollars = 3 bags * 4 dollars", "12"),
        ("#### 18 = 20 - 2", "18"),
        ("#### 24 = 2 x 12 = 2 x (3 * 4)", "24"),
        ("#### 3 bags * 4 dollars = 12 dollars", "12"),
        ("#### 2 * 8 = 16 hours (2 * 8)", "16"),
        ("#### 3 * 4 = 12 / day", "12"),
        ("#### x = 3 + 4", "3"),
        ("#### 0.5 = 1/2", "0.5"),
    ],
)
def test_of_an_equation_the_side_that_is_no_calculation_counts(text: str, number: str) -> None:
    assert extract_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (r"#### 1.5 \times 10^{10}", "15000000000"),
        (r"#### $1.5 \times 10^{10}$", "15000000000"),
        (r"#### 1.5\,\times\,10^{10}", "15000000000"),
        ("#### 1.5 \u00d7 10^10", "15000000000"),
        ("#### 1.5\u00d710\u00b9\u2070", "15000000000"),
        ("#### 2.5 \u00d7 10\u207b\u00b3 m", "0.0025"),
        ("#### 1.5 x 10^10", "15000000000"),
        ("#### 1.5 * 10**10 dollars", "15000000000"),
        (r"The answer is $1.5 \times 10^{10}$.", "15000000000"),
        (r"#### 3 * 5000000000 = 1.5 \times 10^{10}", "15000000000"),
        ("#### 14,876,543,210 = 1.49 \u00d7 10^10", "14876543210"),  # rounded
        ("#### 300 = 3 * 10^2", "300"),
        ("#### 3 * 10^2 = 300", "300"),
        (r"\boxed{10^{10}}", "10000000000"),
        ("#### 10^3", "1000"),
        ("So she has 1.5 \u00d7 10^10 dollars.", "15000000000"),
    ],
)
def test_powers_of_ten_are_read_wherever_a_number_stands(text: str, number: str) -> None:
    assert extract_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (r"\boxed{18 \text{ million}}", "18000000"),
        (r"\boxed{18 million}", "18000000"),
        (r"\boxed{\$18\text{ million}}", "18000000"),
        (r"\boxed{18\text{ million dollars}}", "18000000"),
        (r"\boxed{1.5 \mathrm{billion}}", "1500000000"),
        (r"#### $18\text{ million}$", "18000000"),
        ("The answer is 18 thousand.", "18000"),
        ("She has 18 million dollars.", "18000000"),
        ("#### 2 million + 3 million = 5 million", "5000000"),
        ("#### 3 thousand-dollar bills", "3"),
    ],
)
def test_a_scale_is_no_unit(text: str, number: str) -> None:
    assert extract_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (r"#### \tfrac{1}{2}", "0.5"),
        (r"#### \frac12", "0.5"),
        (r"#### 18\frac12", "18.5"),
        (r"#### -2\frac{1}{2}", "-2.5"),
        (r"so $\frac{3}{4}$", "0.75"),
        (r"#### \frac{36}{2} = 18", "18"),
        ("#### 2\u00bd", "2.5"),
        ("#### \u00bd", "0.5"),
        ("so she needs 2\u00bd cups.", "2.5"),
        ("It is 2 1/2 cups.", "2.5"),
        ("#### negative 18", "-18"),
        ("The answer is negative 18.", "-18"),
        ("#### minus $18", "-18"),
        ("It is minus 18.", "-18"),
        (r"\boxed{\text{negative } 18}", "-18"),
        ("she lost -$18.", "-18"),
        ("20 minus 5 is 15", "15"),
        ("#### 20 minus 5 = 15", "15"),
        ("#### \u201018", "-18"),
        ("#### \u201118", "-18"),
        ("#### \u201218", "-18"),
        ("#### \u201518", "-18"),
        ("#### 1'800", "1800"),
        ("#### 1\u2019234\u2019567", "1234567"),
        ("it costs $18{,}000$.", "18000"),
        ("#### 5'11", "5"),
        (r"so $\dfrac{1,\!000}{20,\!000}$", "0.05"),
        ("It is 18, a non-negative 18.", "18"),
        (r"so $\frac{36}{2}\frac{1}{2}$", "0.5"),
        ("They need:\n- $5 for hats\n- $18 for caps", "18"),
        ("the costs are $20 - $18", "18"),
        ("children aged 10\u201118", "18"),
        ("in the year of COVID-19", "19"),
        ("it is 5,-18", "-18"),
        ("_-18_", "-18"),
        ("It is 25 m\u00b2.", "25"),
        ("#### 100 1/4-pound burgers", "100"),
        ("The answer is 2  1/2.", "2.5"),
        ("#### 2 1/1000", "2.001"),
        (r"so $\frac{1}{10^3}$", "0.001"),
        (r"so $\frac{1.5}{2 \times 10^{3}}$", "0.00075"),
        (r"so $\frac{10^{3}}{2}$", "500"),
    ],
)
def test_spellings_of_a_number(text: str, number: str) -> None:
    assert extract_number(text) == number


def test_other_answers_keep_their_powers_of_ten_scale_and_sign() -> None:
    assert extract_answer("The answer is 1.5 \u00d7 10^10.") == "1.5e10"
    assert extract_answer("The answer is 18 million.") == "18000000"
    assert extract_answer("The answer is negative 18.") == "-18"
    assert canonical(r"18 \text{ million}") == canonical("18 million") == "18000000"


def test_the_last_number_keeps_its_groups() -> None:
    assert extract_answer("so it is 12\u202f000 in all") == "12000"
    assert extract_answer("The answer is 12\u202f000 in all") == "12000"


def test_a_bare_answer_is_taken_whole() -> None:
    assert as_answer(r"\frac{3}{4}") == r"\frac{3}{4}"
    assert as_answer("(2, 5)") == "(2, 5)"
    assert as_answer("There are 5 of them, 3 more.") == "3"
    assert as_answer("step one 7\n#### 9") == "9"
    assert as_answer("  ") is None


def test_a_line_break_with_a_distance_begins_no_formula() -> None:
    assert extract_answer(r"The answer is \[x \\[2pt] y\].") == r"x \\[2pt] y"


@pytest.mark.parametrize("blank", [r"\,", r"\;", r"\:", r"\!", r"\ ", "~", r"\quad", r"\ \,"])
def test_a_blank_of_latex_at_the_end_is_no_part_of_an_answer(blank: str) -> None:
    for text in (rf"\boxed{{5{blank}}}", f"The answer is $5{blank}$.", f"$5${blank}"):
        assert extract_answer(text) == extract_number(text) == "5"


def test_a_line_break_at_the_end_stays() -> None:
    assert clean(r"x \\") == r"x \\"
    assert clean(r"x \\,") == r"x \\"
    assert clean(r"\,") == clean("~") == ""


def test_the_last_complete_box_counts() -> None:
    assert last_boxed(r"\boxed{1} and \boxed{2") == "1"
    assert last_boxed("nothing") is None


def test_a_minus_between_numbers_is_a_sign_only_where_one_stands() -> None:
    assert last_number("7 - 5") == "5"
    assert last_number("equals -5") == "-5"


def test_long_text_is_searched_in_linear_time() -> None:
    began = time.process_time()
    for text in (
        "9" * 200_000,
        "{" * 100_000,
        "answer is " * 20_000,
        "$" * 50_001,
        "####" * 30_000,
        "999 " * 50_000,
        "1 000 " * 30_000,
        r"\boxed{" * 5_000,
        "The answer is " + r"\(" * 20_000,
        "The answer is " + r"\[" * 20_000,
        "\n" * 20_000 + r"\[",
        "The answer is x:" + " " * 20_000 + "y",
        "1'800" * 30_000,
        r"\boxed{5" + r"\, " * 30_000 + "}",
        "9 " + r"\, " * 20_000 + r"\times 10",
        "1 10^" * 20_000,
        r"9\frac{" * 20_000,
        r"\frac" + " " * 50_000,
        "1 1/" * 30_000,
        "negative " * 20_000,
        "is minus " * 20_000,
        "=" + " " * 50_000 + "minus",
        "- $" * 30_000,
        "5 " + r"\text" * 20_000,
        "5" + "{ " * 30_000,
    ):
        extract_answer(text)
        extract_number(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "answer"),
    [("There are 3 ways.", None), ("So the answer is 3.", "3"), (r"\boxed{4}", "4"), ("", None)],
)
def test_free_text_marks_no_answer(text, answer):
    assert marked_answer(text) == answer
