from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.view.clean import clean_block, clean_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand  blanks ", "two lines and blanks"),
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("abc\u202edef\u200b\ufeff", "abcdef"),  # reversed reading, zero-width
        ("bell\x07 nul\x00 c1\x9b31m", "bell nul c131m"),
        ("\ud800 lone", "lone"),
        ("grüße 数学 ½ 🙂", "grüße 数学 ½ 🙂"),
        ("a\r\nb\rc", "a b c"),
    ],
)
def test_clean_line(text: str, shown: str) -> None:
    assert clean_line(text) == shown


def test_clean_block_keeps_lines() -> None:
    assert clean_block("if x:\r\n\treturn\x1b[0m 1\n") == "if x:\n\treturn 1\n"


@given(st.text() | st.text("\x1b[];m0123\x07\x9b\u202e\n "))
def test_nothing_invisible_is_left(text: str) -> None:
    line = clean_line(text)
    assert all(unicodedata.category(c)[0] != "C" for c in line)
    assert "\n" not in line
    assert clean_line(line) == line
