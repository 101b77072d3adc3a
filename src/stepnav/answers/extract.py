r"""Finding the final answer in a solution's text.

Order of search, first hit wins, the last occurrence of each counts:

1. after `####` (GSM8K's own format);
2. inside `\boxed{...}` or `\fbox{...}`, braces nested (MATH's format);
3. after "answer is", "answer:", "answer =", or a line that starts with "A:", within that sentence:
   what stands between dollar signs if something does, else the last number;
4. the last number of the text.

What is found is cleaned of its surroundings (dollar signs, a trailing full stop, units), not
interpreted; `canonical` does that.
"""

from __future__ import annotations

import re

NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+)?|[-+]?\.\d+"

_NUMBER = re.compile(rf"(?<![\w.,])(?:{NUMBER})|(?:{NUMBER})")
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{])")
_MARK = re.compile(
    r"\banswers?\b\**\s*(?:is|are|:|=)\**\s*:?\s*|^\s*A:\s*", re.IGNORECASE | re.MULTILINE
)
_SENTENCE_END = re.compile(r"\n|[.!?](?=\s+[A-Z\"'(])")
_MATH = re.compile(
    r"\$\$(.+?)\$\$|(?<!\\)\$([^$]+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL
)
_WORDS = re.compile(r"(?<!\\)\b[A-Za-z]{2,}\s+[A-Za-z]{2,}\b")
_UNIT = re.compile(
    rf"(?:USD|EUR|[$€£])?\s*({NUMBER})\s*(?:%|percent|(?!(?:pi|sqrt|sin|cos|tan|log|ln|exp|or|and)\b)[A-Za-z]{{2,}}[A-Za-z .]*)?"
)


def extract_answer(text: str) -> str | None:
    """Return the final answer that a solution states, None if it holds none.

    Example:
      >>> extract_answer("She has 3 + 4 = 7 eggs. The answer is $1,400.")
      '1,400'
    """
    marked = _after_hashes(text) or last_boxed(text) or _after_mark(text)
    if marked:
        return marked
    return last_number(text)


def has_mark(text: str) -> bool:
    """Return whether the text marks its final answer, so that it is more than an answer."""
    return bool(_HASHES.search(text) or _BOXED.search(text) or _MARK.search(text))


def as_answer(text: str) -> str | None:
    """Return the answer in a text that may be a whole solution or the bare answer already.

    A text is a bare answer if it marks none, is one line, and has no two words in a row.
    """
    if not has_mark(text) and "\n" not in text.strip() and not _WORDS.search(text):
        return clean(text) or None
    return extract_answer(text)


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last complete `\boxed{}`, nested braces kept.

    Example:
      >>> last_boxed(r"so \boxed{\frac{1}{2}}.")
      '\\frac{1}{2}'
    """
    for match in reversed(list(_BOXED.finditer(text))):
        if match[1] != "{":
            return clean(match[1])
        end = _closing_brace(text, match.end())
        if end is not None:
            return clean(text[match.end() : end]) or None
    return None


def last_number(text: str) -> str | None:
    """Return the last number, with its thousands separators and sign; None if there is none."""
    found = _NUMBER.findall(text)
    return found[-1].replace(" ", "") if found else None


def clean(answer: str) -> str:
    """Return an answer without math delimiters, a trailing full stop, currency and units.

    Example:
      >>> clean("$1,400 dollars.")
      '1,400'
    """
    answer = answer.strip().strip("*`").strip()
    if answer.endswith((".", ",", ";", ":")):
        answer = answer[:-1].rstrip()
    match = _MATH.fullmatch(answer)
    if match:
        answer = next(group for group in match.groups() if group is not None).strip()
    answer = re.sub(
        r"(?<!\\)\\(?=[$\d])", "", answer
    )  # "\15" is a slip for "\$15" that models make
    unit = _UNIT.fullmatch(answer)
    return unit[1].replace(" ", "") if unit else answer


def _after_hashes(text: str) -> str | None:
    found = _HASHES.findall(text)
    return clean(found[-1]) or None if found else None


def _after_mark(text: str) -> str | None:
    matches = list(_MARK.finditer(text))
    if not matches:
        return None
    sentence = text[matches[-1].end() :].lstrip()
    end = _SENTENCE_END.search(sentence)
    if end:
        sentence = sentence[: end.start()]
    math = list(_MATH.finditer(sentence))
    if math:
        return clean(math[-1][0]) or None
    return last_number(sentence)


def _closing_brace(text: str, start: int) -> int | None:
    """Return where the brace opened just before `start` closes; None if it never does."""
    depth = 1
    for position in range(start, len(text)):
        if text[position] == "\\":
            continue
        if text[position] in "{}" and text[position - 1] != "\\":
            depth += 1 if text[position] == "{" else -1
            if depth == 0:
                return position
    return None
