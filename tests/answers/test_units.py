"""What stands after numbers: angles, prices per something, labels."""

from __future__ import annotations

import pytest

from stepnav.answers.equal import compare_fast


def check(answer: str, reference: str, verdict: str) -> None:
    assert compare_fast(answer, reference) == verdict
    assert compare_fast(reference, answer) == verdict


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        ("1 radian", "57 degrees", "different"),
        (r"\pi\text{ radians}", r"180^\circ", "equal"),
        (r"\frac{\pi}{3}\text{ rad}", "60 degrees", "equal"),
        (r"\pi\text{ rad}", r"\pi", "equal"),
        ("3 rad", "3 degrees", "different"),
        (r"2\pi\text{ rad/s}", "360 degrees per second", "equal"),
        (r"\pi\text{ radians}", "180", "different"),
    ],
)
def test_a_radian_is_an_irrational_number_of_degrees(
    answer: str, reference: str, verdict: str
) -> None:
    check(answer, reference, verdict)


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        (r"\$5\text{ per hour}", r"\$5\text{ per minute}", "different"),
        (r"\$5\text{ per hour}", "5 dollars an hour", "equal"),
        (r"\$5/hour", r"\$5/\text{hour}", "equal"),
        (r"\$300\text{ each hour}", r"\$5\text{ per minute}", "equal"),
        (r"\$20\text{ per day}", r"\$20", "equal"),
        (r"\$20\text{ per day}", "20", "equal"),
        ("60 per hour", r"\$60\text{ per hour}", "equal"),
        (r"\$0.50\text{ per mile}", "0.5 per mile", "equal"),
        ("5/hour", r"\$5/hour", "equal"),
        ("5/hr", "5 per hour", "equal"),
        ("5/xyz", "5yz/x", "equal"),
        ("60 per hour", r"\$60\text{ per minute}", "different"),
        ("60 hours", r"\$60\text{ per hour}", "different"),
        ("5 cents per hour", r"\$5", "different"),
        ("5 cents per hour", r"\$0.05", "equal"),
        ("5 cents per apple", "5 dollars per apple", "different"),
        (r"\$5\text{ dollars}", r"\$5", "equal"),
        (r"\$100/xy", r"\$100/ab", "different"),
        ("60 miles", "60 miles per hour", "different"),
    ],
)
def test_a_price_keeps_what_it_is_per(answer: str, reference: str, verdict: str) -> None:
    check(answer, reference, verdict)


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        ("15 boys and 10 girls", "10 boys and 15 girls", "different"),
        ("15 boys and 10 girls", "10 girls, 15 boys", "equal"),
        (r"15\text{ boys and }10\text{ girls}", "15 boys and 10 girls", "equal"),
        (r"15\text{ boys, }10\text{ girls}", r"10\text{ boys, }15\text{ girls}", "different"),
        ("15 boys and 10 girls", "1 boy and 15 girls", "different"),
        ("3 red, 2 blue", "2 red marbles, 3 blue marbles", "different"),
        ("3 red, 2 blue", "2, 3", "equal"),
        ("5 apples, 3", "3 apples, 5", "different"),
        ("5 apples, 3 pears", "5 fruits, 3 pears", "equal"),
        ("5 apples, 3 apples", "3 apples, 5 apples", "equal"),
    ],
)
def test_a_label_on_both_sides_must_be_on_equal_members(
    answer: str, reference: str, verdict: str
) -> None:
    check(answer, reference, verdict)


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        ("18 apples", "18 fruits", "equal"),
        ("18 apples", "18", "equal"),
        ("10 ohms", "10 volts", "different"),
        ("10 watts", "10 joules per second", "equal"),
        ("6 feet tall", "72 inches", "equal"),
        ("6 feet tall", "6 meters", "different"),
        ("25 percent of the class", "0.25", "equal"),
        ("5 in all", "5 cm", "equal"),  # "in" is no inch there
    ],
)
def test_words_that_are_no_unit_say_nothing(answer: str, reference: str, verdict: str) -> None:
    check(answer, reference, verdict)
