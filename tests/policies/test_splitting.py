from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.policies.splitting import cut_at_first, share_out, split_steps, step_end


@pytest.mark.parametrize(
    ("text", "separator", "steps"),
    [
        ("One.\nTwo.\n#### 2", "\n", ["One.\n", "Two.\n", "#### 2"]),
        ("\n\nOne.\n\nTwo.\n\n", "\n", ["\n\nOne.\n", "\nTwo.\n\n"]),
        ("a\nb\n\nc", "\n\n", ["a\nb\n\n", "c"]),
        ("no separator", "\n", ["no separator"]),
        ("", "\n", []),
        (" \n ", "\n", []),
        ("a. b. ", ". ", ["a. ", "b. "]),
    ],
)
def test_split(text: str, separator: str, steps: list[str]) -> None:
    assert split_steps(text, separator) == steps


@given(st.text(alphabet="ab \n", max_size=40), st.sampled_from(["\n", "\n\n", "b", "ab"]))
def test_joined_steps_are_the_text_and_none_is_blank(text: str, separator: str) -> None:
    steps = split_steps(text, separator)
    if text.strip():
        assert "".join(steps) == text
    assert all(step.strip() for step in steps)
    if steps:
        end = step_end(text, separator)
        assert len(steps) == 1 or end == len(steps[0])


def test_an_empty_separator_is_refused() -> None:
    with pytest.raises(ValueError, match="separator"):
        split_steps("a", "")


def test_the_earliest_string_cuts() -> None:
    assert cut_at_first("7\n\nQuestion: 8 END", ["END", "\n\nQuestion:"]) == ("7", True)
    assert cut_at_first("7", ["END"]) == ("7", False)
    assert cut_at_first("7", []) == ("7", False)


@given(st.integers(0, 1000), st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_shares_sum_to_the_total(total: int, weights: list[int]) -> None:
    shares = share_out(total, weights)
    assert sum(shares) == total
    assert all(share >= 0 for share in shares)
    for share, weight in zip(shares, weights):
        if sum(weights):
            assert abs(share - total * weight / sum(weights)) < 1


def test_nothing_to_share_with() -> None:
    assert share_out(5, []) == []
