"""Words of few letters, which might be products."""

from __future__ import annotations

import pytest

from stepnav.answers.canonical import canonical
from stepnav.answers.equal import compare_fast


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        (r"\text{odd}", "odd", "equal"),
        ("Odd.", r"\text{odd}", "equal"),
        ("yes", "Yes", "equal"),
        (r"\text{yes}", "Yes", "equal"),
        (r"\textbf{No}", "no", "equal"),
        (r"\text{May}", "may", "equal"),
        ("(yes, no)", r"(\text{Yes}, \text{No})", "equal"),
        (r"\text{ACF}", "ACF", "equal"),
        (r"\text{Bob}", "bob", "equal"),
        (r"\text{none}", "empty", "equal"),
        ("no", "on", "different"),
        (r"\text{ab}", "ba", "different"),
        ("ABC", "CAB", "different"),
        ("CD", "DC", "equal"),
        ("ab", "ba", "equal"),
        ("xyz", "zyx", "equal"),
        ("abc", "ABC", "different"),
        (r"\text{C}", "c", "different"),
    ],
)
def test_letters_are_a_word_or_a_product(answer: str, reference: str, verdict: str) -> None:
    assert compare_fast(answer, reference) == verdict
    assert compare_fast(reference, answer) == verdict


@pytest.mark.parametrize(
    "spellings",
    [
        ("odd", "Odd", "ODD", r"\text{odd}", r"\text{Odd}."),
        ("Evelyn", "evelyn", r"\text{Evelyn}"),
        ("No solution", r"\text{no solution}"),
        ("Softball, Picnic", r"\text{softball, picnic}"),
    ],
)
def test_votes_join_what_is_equal_but_for_case(spellings: tuple[str, ...]) -> None:
    first, *others = spellings
    for other in others:
        assert compare_fast(first, other) == "equal"
        assert canonical(first) == canonical(other)


def test_votes_keep_letters_of_other_case_apart() -> None:
    assert canonical("AB") != canonical("ab")
    assert canonical("A, B") != canonical("a, b")
