r"""Numerals: decimals, repeating ones among them, and numerals in other bases."""

from __future__ import annotations

import re
from fractions import Fraction

from stepnav.answers.expression import UnreadableError

_REPEATING = re.compile(r"(\d*)\.(\d*)\\overline\{(\d+)\}")


def read_decimal(token: str) -> Fraction:
    r"""Return the exact value of a decimal; `0.1\overline{6}` is 1/6.

    Raises:
      UnreadableError: it is too long.
    """
    repeating = _REPEATING.fullmatch(token)
    if repeating:
        whole, fixed, block = repeating.groups()
        scale = 10 ** len(fixed)
        head = Fraction(int((whole or "0") + fixed), scale)
        return head + Fraction(int(block), (10 ** len(block) - 1) * scale)
    exponent = re.search(r"[eE]([-+]?\d+)", token)
    if len(token) > 1000 or (exponent and abs(int(exponent[1][:6])) > 999):
        raise UnreadableError
    try:
        return Fraction(token)
    except ValueError:
        raise UnreadableError from None


_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_BASES |= {"ten": 10, "twelve": 12, "sixteen": 16}


def read_numeral(digits: str, base: str) -> Fraction:
    """Return the value of a numeral in a base from 2 to 36.

    Raises:
      UnreadableError: the base is none, or a digit does not exist in it.
    """
    word = re.sub(r"\\text\{([^{}]*)\}", r"\1", base).removeprefix("base").strip()
    number = _BASES.get(word) or (int(word) if word.isdigit() and len(word) < 3 else 0)
    whole, _, part = digits.partition(".")
    if not 2 <= number <= 36 or len(digits) > 1000:
        raise UnreadableError
    try:
        return Fraction(int(whole + part, number), number ** len(part))
    except ValueError:
        raise UnreadableError from None
