r"""Finding the final answer in a solution's text.

Order of search, first hit wins, the last occurrence of each counts:

1. inside `\boxed{...}` or `\fbox{...}`, braces nested (MATH's format);
2. in number tasks only: after `####` (GSM8K's format). Elsewhere that is a heading of Markdown;
3. after "answer is", "answer:", "answer =", or a line that starts with "A:", within that sentence:
   what stands between dollar signs if something does, else the formula or number it states;
4. the last number of the text.

A number task's answer is a number, so there words around it do not count: see `stated_number`.
Other answers are freed of their delimiters and left as they are; `canonical` and `compare`
interpret them.
"""

from __future__ import annotations

import re
from fractions import Fraction

from stepnav.answers.canonical import (
    NUMBER,
    canonical,
    clean,
    format_number,
    parse_number,
)
from stepnav.answers.plain_numbers import plain_numbers
from stepnav.answers.quantity import SCALES
from stepnav.answers.spelling import MATH, MAX_CHARACTERS, undelimited

_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{])")
_BRACE = re.compile(r"(?<!\\)[{}]")
_MARK = re.compile(
    r"\banswers?\b\**\s*(?:is|are|:|=)\**\s*:?\s*|^[ \t]*A:\s*", re.IGNORECASE | re.MULTILINE
)
_SENTENCE_END = re.compile(r"\n|[.!?](?=\s+[A-Z\"'(])")
_IN_TEXT = re.compile(r"\\(?:text\w*|mbox|mathrm|operatorname)\s*\{[^{}]*\}")
_WORDS = re.compile(r"(?<!\\)\b[A-Za-z]{2,}\s+[A-Za-z]{2,}\b")

_MARKUP = re.compile(
    r"\\(?:text\w*|math\w*|boxed|left|right|[,!;() \[\]])|\{,\}(?=\d{3})|\\(?=[$%])"
    r"|[$€£¥`_#~]|\*\*|(?<![\d\s])\*|\*(?![\d\s])"
)
_SCALE = rf"(?:\\text\w*|[\s{{~])*({'|'.join(SCALES)})(?![-\w])"
_STATED = re.compile(
    rf"(?:.*?(?::|\b(?:is|are|was|were|equals?)\b))??[\s{{(]*"
    rf"(?:(?:about|approximately|only|exactly|a|total|of|USD|EUR|GBP|Rs\.?)\s+)*"
    rf"(?:((?i:minus|negative)(?=[\s}}])|[-+\u2013-\u2015])[\s}}]*)?({NUMBER})"
    rf"(?:{_SCALE})?",
    re.DOTALL,
)
_NUMBER = re.compile(rf"((?:(?<![^\W_])|(?![-+]))(?:{NUMBER}))(?:{_SCALE})?")
"""A number; a dash right behind a letter or digit is no sign of it, as in "10-15"."""
_GAPS = "\u00a0\u2009\u202f"
"""Blanks that group digits and never stand between two numbers: no-break, thin, both."""

_GROUPS = re.compile(rf"(?<![\w.,/])\d{{1,3}}(?:[ {_GAPS}]\d{{3}})+(?![\d/]|,\d|-\w)")
"""Digits in groups of three."""

_CALCULATION = re.compile(
    r"\s*(?:[A-Za-z]+\s*)?(?:[-+*/^\u00d7\u00f7]|x(?=[\s({]*\d)|\\times|\\cdot|\\div)[\s({]*[-+]?[\d.\\]"
)
"""What goes on after the first number, and its unit, of a calculation."""

_OPERATOR = re.compile(
    r"\s*(?:[+*/^\u00d7\u00f7=<]|-\s*[\d(]|x\s*\d|\\times|\\cdot|\\div|(?:plus|minus|times)\s+\d)"
)


def extract_answer(text: str) -> str | None:
    """Return the final answer that a solution states, None if it holds none.

    Example:
      >>> extract_answer("She has 3 + 4 = 7 eggs. The answer is $1,400.")
      '1,400'
    """
    return marked_answer(text) or last_number(text)


def marked_answer(text: str) -> str | None:
    """Return the answer that a solution marks as such, None if it marks none: free text has none.

    Example:
      >>> marked_answer("There are 3 ways.")
    """
    return last_boxed(text) or _after_mark(text)


def extract_number(text: str) -> str | None:
    """Return the final number of a solution to a number task in canonical form, None if none.

    Example:
      >>> extract_number("#### $20 in her piggy bank after saving for 5 days")
      '20'
    """
    box = last_boxed(text)
    if box is not None:
        number = parse_number(box)
        found = stated_number(box, is_marked=True) if number is None else format_number(number)
        if found is not None:
            return found
    for line in reversed(_HASHES.findall(text)):
        found = stated_number(line, is_marked=True)
        if found is not None:
            return found
    sentence = _marked_sentence(text)
    found = None if sentence is None else stated_number(sentence) or last_number(sentence)
    found = found or last_number(text)
    return None if found is None else canonical(found)


def stated_number(line: str, *, is_marked: bool = False) -> str | None:
    """Return the number that a line states as a result, in canonical form; None if it states none.

    The number comes first, up to currency and markup, or after a colon or "is"; of a calculation,
    what follows the last equals sign counts that no calculation follows. So "Step 2" states none.

    Args:
      line: up to its end.
      is_marked: whether it is a marked answer, in which "12 345" is one number.
    Example:
      >>> stated_number("18 dollars a day, for 7 days"), stated_number("9 * 2 = $18 a day")
      ('18', '18')
    """
    text = _MARKUP.sub("", plain_numbers(line[:MAX_CHARACTERS])).strip()
    text = _joined(text, is_marked=is_marked)
    match = _STATED.match(text)
    if "=" in text and (match is None or _goes_on(text, match)):
        match = _result(text) or match
    if match is None:
        return None
    number = _scaled(match[2], match[3])
    if number is None:
        return None
    return format_number(-number if _is_negative(match) else number)


def _is_negative(match: re.Match[str]) -> bool:
    return match[1] not in (None, "+")


def _scaled(number: str, scale: str | None) -> Fraction | None:
    """Return the value of a number, times that of a word such as "million" after it."""
    value = parse_number(number)
    return None if value is None else value * SCALES[scale] if scale else value


def _goes_on(text: str, match: re.Match[str]) -> bool:
    """Return whether a number is the first of a calculation."""
    end = match.end()
    return bool(_OPERATOR.match(text, end) or _CALCULATION.match(text, end))


def _result(text: str) -> re.Match[str] | None:
    """Return the number after the last equals sign that no calculation follows, else the last.

    One with a power of ten may be rounded, so that it counts where no other is a result.
    """
    parts = [part.strip() for part in text.split("=")]
    found = [match for part in parts if (match := _STATED.match(part))]
    results = [match for match in found if not _CALCULATION.match(match.string, match.end())]
    exact = [match for match in results if "e" not in match[2].lower()]
    return next(reversed(exact or results or found), None)


def has_mark(text: str) -> bool:
    """Return whether the text marks its final answer, so that it is more than an answer."""
    return bool(_BOXED.search(text) or _MARK.search(text))


def as_answer(text: str) -> str | None:
    r"""Return the answer in a text that may be a whole solution or the bare answer already.

    A text is a bare answer if it marks none, is one line, and is no prose around a number: without
    a digit, or without two words in a row outside `\text{}`.
    """
    if not has_mark(text) and "\n" not in text.strip():
        rest = _IN_TEXT.sub("", text)
        if not any(c.isdigit() for c in text) or not _WORDS.search(rest) or _is_quantity(rest):
            return undelimited(text) or None
    return extract_answer(text)


def _is_quantity(text: str) -> bool:
    """Return whether a text is a number and at most four words after it."""
    return re.fullmatch(rf"\s*[$€£]?(?:{NUMBER})(?:\s+[A-Za-z]+){{1,4}}\.?\s*", text) is not None


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last complete `\boxed{}`, nested braces kept.

    Example:
      >>> last_boxed(r"so \boxed{\frac{1}{2}}.")
      '\\frac{1}{2}'
    """
    boxes = list(_BOXED.finditer(text))
    closing = _closing_braces(text) if boxes else {}
    for match in reversed(boxes):
        if match[1] != "{":
            return undelimited(match[1])
        end = closing.get(match.start(1))
        if end is not None:
            return undelimited(text[match.end() : end]) or None
    return None


def last_number(text: str) -> str | None:
    """Return the last number, with its thousands separators and sign; None if there is none."""
    found = _NUMBER.findall(_joined(plain_numbers(text)))
    return _written(*found[-1]) if found else None


def _written(number: str, scale: str | None) -> str:
    """Return a number as it is written, with a word such as "million" after it worked out."""
    value = _scaled(number, scale) if scale else None
    return number.replace(" ", "") if value is None else format_number(value)


def _joined(text: str, *, is_marked: bool = False) -> str:
    """Return a text with the digits of grouped numbers side by side.

    A plain blank groups them in a marked answer, and where a group begins with 0: no number does.
    """

    def join(match: re.Match[str]) -> str:
        is_one = is_marked or " 0" in match[0]
        return re.sub(r"\s" if is_one else f"[{_GAPS}]", "", match[0])

    return _GROUPS.sub(join, text)


def _marked_sentence(text: str) -> str | None:
    """Return the rest of the sentence after the last mark, None if there is no mark."""
    matches = list(_MARK.finditer(text))
    if not matches:
        return None
    sentence = text[matches[-1].end() :].lstrip()
    end = _SENTENCE_END.search(sentence)
    return sentence[: end.start()] if end else sentence


def _after_mark(text: str) -> str | None:
    sentence = _marked_sentence(text)
    if sentence is None:
        return None
    math = list(MATH.finditer(sentence))
    if math:
        return undelimited(math[-1][0]) or None
    if "\\" in sentence and not _WORDS.search(_IN_TEXT.sub("", sentence)):
        return undelimited(sentence) or None
    sentence = _joined(plain_numbers(sentence))
    number = _STATED.match(sentence)
    if number and "=" not in sentence:
        return clean(("-" if _is_negative(number) else "") + _written(number[2], number[3]))
    return last_number(sentence)


def _closing_braces(text: str) -> dict[int, int]:
    """Return where each brace that is closed closes."""
    closing, opened = {}, []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            closing[opened.pop()] = brace.start()
    return closing
