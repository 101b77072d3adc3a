r"""The equations that a step in prose states, and whether they hold.

"4 lollipops x $1.50 = $6" is one; "x + 4 = 10" and "5 feet = 60 inches" are none: on the left must
be an operation on numbers. What cannot be read for sure is no equation, so that a right step is
hardly ever called wrong.

Source: the calculator of Cobbe et al. 2021 (arXiv 2110.14168, section 4), which overwrites results
while a solution is written; here they are compared afterwards, whatever wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, product

from stepnav.answers.expression import UnreadableError
from stepnav.answers.plain_numbers import plain_numbers
from stepnav.answers.reading.grammar import parse
from stepnav.answers.units import UNITS
from stepnav.answers.value import OutsideError, TooBigError

MAX_CHARACTERS = 4000
"""Longer steps are not read."""
MAX_DIGITS = 9
"""Decimals of a result that are taken for exact; computers print some more."""

_PIECE = re.compile(
    r"""
      (?P<break>
          (?:^|(?<=\n))[ ]*[-*+\u2022](?=\s)  # a bullet
        | [=<>!~\u2248\u2260\u2264\u2265]{2,} | [<>\n] | \\[][()\\]
        | -> | \\(?:Rightarrow|rightarrow|implies|quad|qquad|to)\b
        | \b(?i:because|since|so|thus|therefore|then|if|when|is|are|was|were|that|which)\b
        | [,.;:\u2248\u2260\u2264\u2265]+(?=\s|$) | \*\*(?=[A-Z]))
    | (?P<unknown>
          \d+:\d[\d:]* | \d[\d.,]*(?!e[-+]?\d|x\s?\$?\d)[A-Za-z_]\w* | 0\d+ | \\[A-Za-z]+
        | [A-Za-z]\w*\( | \b(?![aA]\s+[A-Za-z]|[xX]\b)[A-Za-z]\b(?!') | \b[A-Z]{2,3}\b)
    | (?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:e[-+]?\d+)? | \.\d+)
      (?P<percent>\s?\\?%)?
    | (?P<word>/[A-Za-z]{2,}|[A-Za-z][A-Za-z'\u2019-]*)
    | (?P<operator>\*\*|[-+*/^\u00d7\u00f7\u22c5\u00b7])
    | (?P<open>\() | (?P<close>\)) | (?P<equals>=) | (?P<other>[^\s$\u20ac\u00a3\u00a5\\])
    """,
    re.VERBOSE,
)
_KINDS = {
    "break": "|", "unknown": "?", "open": "(", "close": ")", "equals": "=", "other": "?",
}  # fmt: skip
_LATEX = {r"\times": "*", r"\cdot": "*", r"\div": "/", r"\left": "", r"\right": "", r"\%": "%"}
_COMMAND = re.compile(r"\\(?:times|cdot|div|left|right|%)(?![A-Za-z])")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox)\{([^{}]*)\}")
_NAMED = {"times": "*", "plus": "+", "minus": "-", "x": "*"}
_SIGNS = {"**": "^", "\u00d7": "*", "\u00f7": "/", "\u22c5": "*", "\u00b7": "*"}
_CHANGES = re.compile(
    "of|to|twice|thrice|half|double|triple|quadruple|than|less|more|by|from|and|negative|dozen"
    "|hundred|thousand|million|billion|third|quarter|fifth|tenth|day|week|month|year|hour|part|step"
)
"""A word before an expression that changes what it comes to."""
_COMPARES = re.compile("than|times|twice|thrice|half|double|triple")
"""A word in an expression that does."""
_ARTICLE = re.compile("the|an?|all|these|those|his|her|its|their")
_SCALE = re.compile(
    "dozen|hundred|thousand|million|billion|percent|pair|k|am|pm|o'clock|cent|half|score"
)
"""A word behind a number that changes what it is, beside the units of measure."""

_SIDE = r"\(*-?\(*n[)w]*(?:[o-]\(*-?\(*n[)w]*)*"
_LEFT, _RIGHT = re.compile(f"{_SIDE}$"), re.compile(_SIDE)
_WORKED_OUT = re.compile(r"[n)w][o-]")
_GOES_ON = re.compile(r".[-o?()]|nn")
"""A right side and what follows it, where that may belong to it: an unknown, "18 000"."""
_QUOTIENTS = re.compile(r"/[\d.]+/")
"""28 / 1/5, which is two things."""


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation of a text.

    Attributes:
      left, right: its sides, as numbers and signs.
      holds: whether they are equal, as exactly as the right side is written.
    """

    left: str
    right: str
    holds: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of a text.

    Attributes:
      kind: "n" a number, "w" a word, "o" an operator, "-" a minus, "(", ")" and "=" themselves, "|"
        a break, "?" what is not read.
      text: what stands for it in a side.
      is_percent: whether the number is one of per cents.
    """

    kind: str
    text: str
    is_percent: bool = False


def equations(text: str) -> list[Equation]:
    """Return the equations that a text states and that can be read for sure.

    Example:
      >>> [found.holds for found in equations("She paid 4 x $1.50 = $6; 10% of 50 = 4.")]
      [True, False]
    """
    if "=" not in text or len(text) > MAX_CHARACTERS:
        return []
    found = []
    for line in _lines(_pieces(text)):
        found += [_equation(left, right) for left, right in pairwise(line)]
    return [equation for equation in found if equation is not None]


@lru_cache(maxsize=4096)  # a search scores the steps before the last one again
def equations_hold(text: str) -> bool | None:
    """Return whether all equations of a text hold; None if there is none."""
    found = equations(text)
    return all(equation.holds for equation in found) if found else None


def _pieces(text: str) -> list[_Piece]:
    text = _LATEX_TEXT.sub(r" \1 ", text)
    text = plain_numbers(_COMMAND.sub(lambda match: _LATEX[match[0]], text))
    pieces: list[_Piece] = []
    for match in _PIECE.finditer(text):
        pieces.append(_piece(match, pieces))
    return pieces


def _piece(match: re.Match[str], before: list[_Piece]) -> _Piece:
    kind, text = str(match.lastgroup), match[0]
    last = before[-1] if before else _Piece("|", "")
    if match["number"]:
        return _Piece("n", match["number"].replace(",", ""), bool(match["percent"]))
    if kind == "word":
        word = text.lower()
        is_sign = word in _NAMED and last.kind in "n)w" and _is_before_number(match)
        is_share = word == "of" and (last.is_percent or _is_fraction(before))
        if is_sign or is_share:
            return _Piece("-" if word == "minus" else "o", _NAMED.get(word, "*"))
        return _Piece("?" if word == "x" else "w", word)
    if kind == "operator":
        return _Piece("-" if text == "-" else "o", _SIGNS.get(text, text))
    return _Piece(_KINDS[kind], text)


def _is_before_number(match: re.Match[str]) -> bool:
    return re.match(r"\s*[($]*\.?\d", match.string[match.end() : match.end() + 8]) is not None


def _is_fraction(pieces: list[_Piece]) -> bool:
    return [piece.text if piece.kind == "o" else piece.kind for piece in pieces[-3:]] == [
        "n", "/", "n",
    ]  # fmt: skip


def _lines(pieces: list[_Piece]) -> Iterator[list[list[_Piece]]]:
    """Yield what stands between breaks, parted at the signs of equality."""
    line: list[list[_Piece]] = [[]]
    for piece in [*pieces, _Piece("|", "")]:
        if piece.kind == "|":
            yield line
            line = [[]]
        elif piece.kind == "=":
            line.append([])
        else:
            line[-1].append(piece)


def _kinds(pieces: list[_Piece]) -> str:
    return "".join(piece.kind for piece in pieces)


def _equation(before: list[_Piece], after: list[_Piece]) -> Equation | None:
    left, right = _left_side(before), _right_side(after)
    if left is None or right is None or not _WORKED_OUT.search(_kinds(left)):
        return None
    try:
        is_close = _is_close(left, right)
    except (UnreadableError, OutsideError, TooBigError):
        return None
    is_unsure = _QUOTIENTS.search(_written(left)) or _mixes_units(left, right)
    if not is_close and (is_unsure or _goes_on(left, right)):
        return None
    return Equation(_written(left), _written(right), is_close)


def _left_side(pieces: list[_Piece]) -> list[_Piece] | None:
    """Return what an equation's left side is; None if what stands before may belong to it."""
    match = _LEFT.search(_kinds(pieces))
    if match is None:
        return None
    rest = [p for p in pieces[: match.start()] if not _ARTICLE.fullmatch(p.text)]
    side = pieces[match.start() :]
    is_signed = bool(rest) and side[0].kind == "-"
    is_continued = _kinds(rest).rstrip("w").endswith(("o", "-"))
    if is_signed or is_continued or any(_COMPARES.fullmatch(piece.text) for piece in side):
        return None
    if rest and (rest[-1].kind != "w" or _CHANGES.fullmatch(rest[-1].text)):
        return None
    return side


def _right_side(pieces: list[_Piece]) -> list[_Piece] | None:
    """Return what an equation's right side is; None if it goes on in a way that is not read."""
    kinds = _kinds(pieces)
    match = _RIGHT.match(kinds)
    if match is None or _GOES_ON.match(kinds, match.end() - 1):
        return None
    return pieces[: match.end()]


def _is_close(left: list[_Piece], right: list[_Piece]) -> bool:
    """Return whether two sides are equal by some reading of their per cents.

    A result is as exact as its last digit, rounded either way; a whole one of whole numbers is
    exact, unless something is divided or has been rounded before.
    """
    numbers = [piece.text for piece in right if piece.kind == "n"]
    num_digits = min(MAX_DIGITS, len(numbers[0].partition(".")[2]))
    is_rounded = num_digits > 0 or any(p.text == "/" or p.is_percent for p in left)
    is_rounded |= any(len(piece.text.partition(".")[2]) > 2 for piece in left)
    room = Fraction(1, 10**num_digits) if is_rounded and len(numbers) == 1 else Fraction(0)
    pairs = product(_values(left), _values(right))
    return any(abs(one - other) < room or one == other for one, other in pairs)


def _values(side: list[_Piece]) -> set[Fraction]:
    """Return what a side may be worth: a per cent is a hundredth, or one of what is counted."""
    values = set()
    for is_share in {False, any(piece.is_percent for piece in side)}:
        value = parse(_written(side, is_share=is_share)).constant()
        if not isinstance(value, Fraction | int):
            raise UnreadableError
        values.add(Fraction(value))
    return values


def _written(side: list[_Piece], *, is_share: bool = False) -> str:
    parts = (
        f"({p.text}/100)" if is_share and p.is_percent else p.text for p in side if p.kind != "w"
    )
    return "".join(parts)


def _mixes_units(left: list[_Piece], right: list[_Piece]) -> bool:
    """Return whether numbers are of several units, or are added to per cents of themselves."""
    units = {_unit(piece.text) for piece in (*left, *right) if piece.kind == "w"}
    shares = {piece.is_percent for piece in left if piece.kind == "n"}
    is_added = any(piece.text in ("+", "-") for piece in left)
    return len(units - {""}) > 1 or "scale" in units or (is_added and len(shares) > 1)


def _unit(word: str) -> str:
    """Return the unit of measure that a word is, "scale" for a word that is a factor."""
    name = word.removesuffix("s")
    if _SCALE.fullmatch(name):
        return "scale"
    return name if word != "in" and (word in UNITS or name in UNITS) else ""


def _goes_on(left: list[_Piece], right: list[_Piece]) -> bool:
    """Return whether the right side takes the result of the left and goes on: 2+3 = 5*4 = 20."""
    numbers = [piece for piece in right if piece.kind == "n"]
    return len(numbers) > 1 and _is_close(left, numbers[:1])
