r"""The canonical form of an answer: what is counted in votes and compared first.

Numbers become exact rationals in one spelling ("1,000.0", "1000" and "\frac{2000}{2}" are all
"1000"). Other answers get the light LaTeX clean-up of the MATH benchmark (Hendrycks et al. 2021,
`math_equivalence.py`), and words lose their capitals: two answers that differ after it may still be
equal, which `compare` decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from stepnav.answers.plain_numbers import plain_numbers
from stepnav.answers.quantity import SCALES
from stepnav.answers.reading.phrases import are_words
from stepnav.answers.spelling import MAX_CHARACTERS, ascii_symbols, undelimited

MAX_DIGITS = 300
"""Longer numbers stay text, so that no input makes the exact arithmetic slow."""

NUMBER = (
    r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,2}(?!\w)|\s*/\s*\d+)?|[-+]?\.\d+"
)
"""A number as prose has it."""

_UNIT = re.compile(
    rf"(?:USD|EUR|[$€£])?\s*({NUMBER})\s*(?:%|percent"
    rf"|(?!(?:pi|sqrt|sin|cos|tan|log|ln|exp|or|and|{'|'.join(SCALES)})\b)"
    r"[A-Za-z]{2,}[A-Za-z .]*)?"
)
_PLAIN = re.compile(r"-?\d{1,300}(?:\.\d{1,300})?")
_SPACED_GROUPS = re.compile(r"[-+]?\d{1,3}(?: \d{3})+(?:\.\d+)?")
_DIGIT_GAP = re.compile(r"(?<=\d) (?=\d)")
_INTEGER_GROUPS = re.compile(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![\d,])")
_DECIMAL = re.compile(r"([-+]?)(\d*)\.?(\d*)(?:[eE]([-+]?\d{1,2}))?")
_RATIO = re.compile(r"([-+]?)\(?([-+]?\d+(?:\.\d+)?)\)?/\(?(\d+(?:\.\d+)?)\)?")
_SCALED = re.compile(rf"(.*?\S)\s*\b({'|'.join(SCALES)})(?:\s[A-Za-z .]*)?", re.DOTALL)
_DROPPED = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|\\q?quad|\^\s*\{?\\circ\}?|\\circ"
    r"|(?<!\\)\\[!,;: %$]|%|\$|~"  # not the second half of a line break
)
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_SHORT_FRAC = re.compile(r"\\frac\s*(?:(\w)\s*(\w)|\{([^{}]*)\}\s*(\w)|(\w)\s*\{([^{}]*)\})")
_SHORT_SQRT = re.compile(r"\\sqrt\s*(\w)")
_BRACKET = re.compile(r"[(\[{]")
_LIST_GAP = re.compile(r"(?<=\d), (?=\d{3}(?!\d))")
"""The space that keeps a list of numbers from being one number."""

_COMMAND_GAP = re.compile(r"(\\[A-Za-z]+) (?=[A-Za-z])")
"""The space that ends a LaTeX command must stay."""

_ASSIGNMENT = re.compile(r"[a-zA-Z]\s*(?:=|\\in)\s*(.+)", re.DOTALL)


def canonical(answer: str) -> str:
    r"""Return one spelling for an answer.

    Example:
      >>> canonical("$1,000.0$"), canonical(r"\dfrac12"), canonical("3/6")
      ('1000', '0.5', '0.5')
    """
    text = _normalize(answer)
    number = _parse_number(text)
    if number is not None:
        return format_number(number)
    if are_words(text):
        text = text.casefold()
    text = _DIGIT_GAP.sub("\0", _COMMAND_GAP.sub("\\1\0", text))
    if not _BRACKET.search(text):
        text = _LIST_GAP.sub(",\0", text)
    return text.replace(" ", "").replace("\0", " ")


def spellings() -> Callable[[str], str]:
    """Return what maps an answer to the first one that it was shown with the same canonical form.

    For votes: the form alone would lose what a grader may ask for, as the name in `y=2x`.
    """
    first: dict[str, str] = {}
    return lambda answer: first.setdefault(canonical(answer), answer)


def parse_number(answer: str) -> Fraction | None:
    """Return the exact value of a plain number, fraction or mixed number; None for all else."""
    if _PLAIN.fullmatch(answer):
        return Fraction(answer)
    return _parse_number(_normalize(answer))


def clean(answer: str) -> str:
    """Return an answer without math delimiters, a trailing full stop, currency and units.

    Example:
      >>> clean("$1,400 dollars.")
      '1,400'
    """
    answer = undelimited(answer)
    unit = _UNIT.fullmatch(answer)
    return unit[1].replace(" ", "") if unit else answer


def format_number(number: Fraction) -> str:
    """Return a rational as an integer, a terminating decimal or "p/q", in this order."""
    if number.denominator == 1:
        return str(number.numerator)
    rest, twos, fives = number.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    if rest != 1 or places > 12:
        return f"{number.numerator}/{number.denominator}"
    digits = str(abs(number.numerator) * 10**places // number.denominator).rjust(places + 1, "0")
    sign = "-" if number < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def _normalize(answer: str) -> str:
    if len(answer) > MAX_CHARACTERS:
        return answer.strip()
    text = re.sub(r",\s*\\!\s*", ",", clean(ascii_symbols(answer)))
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = re.sub(r"\\text\s*\{\s*(?:and|or)\s*\}", ",", text)
    text = _drop_units(text)
    text = re.sub(r"\s+,", ",", _DROPPED.sub(" ", text)).strip()
    text = _SHORT_FRAC.sub(_fill_frac, text)
    text = _SHORT_SQRT.sub(r"\\sqrt{\1}", text)
    assigned = _ASSIGNMENT.fullmatch(text)
    if assigned:
        text = assigned[1].strip()
    if not _BRACKET.search(text):  # "(1,200)" is a point
        text = _INTEGER_GROUPS.sub(lambda match: match[0].replace(",", ""), text)
    text = clean(text.rstrip("."))
    return re.sub(r"\s+", " ", re.sub(r"(?<!\d)\.(\d)", r"0.\1", text))


def _drop_units(text: str) -> str:
    r"""Drop a trailing `\text{ unit}` after a number, and keep the words of any other `\text{}`."""
    trailing = re.fullmatch(
        r"(.*?[\d})])\s*\\(?:text|mbox|mathrm)\s*\{([^{}]*)\}(?:\^\{?\d\}?)?", text.strip()
    )
    if trailing and trailing[2].strip().split(" ")[0] in SCALES:
        return f"{trailing[1]} {trailing[2]}"
    if trailing and not trailing[1].rstrip().endswith(("\\text{", ",")) and "=" not in trailing[1]:
        text = trailing[1]
    return _TEXT.sub(r"\1", text)


def _fill_frac(match: re.Match[str]) -> str:
    top = match[1] or match[3] or match[5]
    bottom = match[2] or match[4] or match[6]
    return f"\\frac{{{top}}}{{{bottom}}}"


def _parse_number(text: str) -> Fraction | None:
    if len(text) > MAX_DIGITS or not any(character.isdigit() for character in text):
        return None
    text = text.strip()
    scaled = _SCALED.fullmatch(text)
    if scaled:
        value = _parse_number(scaled[1])
        return None if value is None else value * SCALES[scaled[2]]
    text = plain_numbers(text).strip()
    if _DIGIT_GAP.search(text) and not _SPACED_GROUPS.fullmatch(text):
        return None  # "1 1" is not eleven
    text = text.replace(" ", "")
    ratio = _RATIO.fullmatch(text)
    if ratio:
        bottom = Fraction(ratio[3])
        if bottom == 0:
            return None
        value = Fraction(ratio[2]) / bottom
        return -value if ratio[1] == "-" else value
    return Fraction(text) if _is_decimal(text) else None


def _is_decimal(text: str) -> bool:
    match = _DECIMAL.fullmatch(text)
    return bool(match and (match[2] or match[3]) and not (match[3] == "" and text.endswith(".")))
