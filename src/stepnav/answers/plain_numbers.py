r"""One spelling for the numbers of a text in prose, so that each is a `NUMBER` of `canonical`.

`1.5 \times 10^{10}` becomes `1.5e10`, `2\frac{1}{3}`, `2⅓` and `2 1/3` become `7/3`, `negative 5`
and `-$5` become `-5`, `1'800` and `18{,}000` lose what groups their digits or get the comma. All
else stays as it is. Each pattern begins where it can begin only once, so that time is linear.
"""

from __future__ import annotations

import re
from fractions import Fraction

from stepnav.answers.spelling import VULGAR, ascii_symbols, vulgar_fraction

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2212\ufe63\uff0d", "-"))
"""What is a minus wherever it stands; longer dashes part words too."""

_GROUPED = re.compile(r"(?<![\w.,'\u2019])\d{1,3}(?:['\u2019]\d{3})+(?![\w'\u2019])")
_LATEX_COMMA = re.compile(r"(?<=\d)(?:\{,\}|,\\!|\\!,|\{,\\!\})(?=\d{3})")
_PART = r"\d[\d,]{0,30}(?:\.\d{1,15})?(?:e[-+]?\d{1,2})?"
_FRACTION = re.compile(
    r"(?:(?<![\w.,/^])(\d{1,15})\s*)?"
    rf"\\[dtc]?frac\s*(?:\{{\s*(-?{_PART})\s*\}}|(\d))\s*(?:\{{\s*({_PART})\s*\}}|(\d))"
)
_MIXED = re.compile(
    r"(?<![\w.,/])(\d{1,15})[ \u00a0]+(\d{1,15})/(\d{1,15})(?![\w/]|[.,]\d|-[^\W\d])"
)
"""A whole number and a part of one; 100 1/4-pound burgers are a number of things."""

_RAISED = "\u207a\u207b\u2070\u00b9\u00b2\u00b3\u2074-\u2079"
_GAP = r"(?:\s|\\[,;:! ])*"
_POWER_OF_TEN = re.compile(
    rf"(?:(?<=\d)(?P<by>{_GAP}(?:\\times|\\cdot|[xX*\u00d7\u00b7\u22c5]){_GAP})"
    r"|(?<![\w.,^/)}]))10\s*"
    rf"(?:(?:\^|\*\*)\s*(?:\{{\s*([-+]?\d{{1,2}})\s*\}}|\(([-+]?\d{{1,2}})\)|([-+]?\d{{1,2}}))"
    rf"|([{_RAISED}]{{1,3}}))(?!\d|\.\d)"
)
_NEGATIVE = re.compile(r"(?<![-\w])negative\s+(?=\\?[$\u20ac\u00a3\u00a5]?[\d.\\])", re.IGNORECASE)
_MINUS = re.compile(
    r"(^|[:=]|\b(?:is|are|was|were|be|equals|to|at)\s)\s*minus\s+(?=\\?[$\u20ac\u00a3\u00a5]?[\d.\\])",
    re.IGNORECASE | re.MULTILINE,
)
_MINUS_MONEY = re.compile(r"(?<![\w)}])-\\?[$\u20ac\u00a3\u00a5](?=[\d.])")


def plain_numbers(text: str) -> str:
    r"""Return a text with its numbers in one spelling.

    Example:
      >>> plain_numbers(r"negative 2\tfrac13 or 1.5 \times 10^{10}"), plain_numbers("1'800")
      ('-7/3 or 1.5e10', '1800')
    """
    if not text.isascii():
        text = VULGAR.sub(vulgar_fraction, text.translate(_DASHES))
    if "'" in text or "\u2019" in text:
        text = _GROUPED.sub(lambda match: re.sub(r"\D", "", match[0]), text)
    if "10" in text:
        text = _POWER_OF_TEN.sub(_scientific, text)
    if "\\" in text or "{," in text:
        text = _FRACTION.sub(_ratio, _LATEX_COMMA.sub(",", text))
    if "/" in text:
        text = _MIXED.sub(_mixed, text)
    if "egative" in text or "inus" in text:
        text = _MINUS.sub(r"\1 -", _NEGATIVE.sub("-", text))
    return _MINUS_MONEY.sub("-", text) if "-" in text else text


def _ratio(match: re.Match[str]) -> str:
    whole, top, bottom = (
        part.replace(",", "")
        for part in (match[1] or "", match[2] or match[3], match[4] or match[5])
    )
    if Fraction(bottom) == 0 or (whole and not (top + bottom).isdigit()):
        return match[0]
    value = Fraction(whole or 0) + Fraction(top) / Fraction(bottom)
    return _apart(match, f"{value.numerator}/{value.denominator}")  # of 36/2 1/2 no part is whole


def _mixed(match: re.Match[str]) -> str:
    whole, top, bottom = map(int, match.groups())
    return f"{whole * bottom + top}/{bottom}" if 0 < top < bottom else match[0]


def _scientific(match: re.Match[str]) -> str:
    raised = ascii_symbols(match[5]).strip("^{}") if match[5] else None
    exponent = match[2] or match[3] or match[4] or raised
    if exponent is None or not re.fullmatch(r"[-+]?\d{1,2}", exponent):
        return match[0]
    return _apart(match, f"e{exponent}" if match["by"] else f"1e{exponent}", is_joined=True)


def _apart(match: re.Match[str], number: str, *, is_joined: bool = False) -> str:
    """Return a number with blanks where else it would run into what is beside it."""
    text, end = match.string, match.end()
    last, following = text[max(0, match.start() - 1) : match.start()], text[end : end + 1]
    before = " " if not is_joined and (last.isalnum() or last == "}") else ""
    return before + number + (" " if following.isalnum() else "")
