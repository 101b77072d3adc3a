r"""Answers in words: phrases with a meaning, choices, times, dates, numbers in words and names."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from stepnav.answers import forms as f
from stepnav.answers.expression import UnreadableError
from stepnav.answers.forms import Choice, Form, Items, Moment, Quantity, Words, constant
from stepnav.answers.quantity import SCALES, read_date, read_number_words, read_time
from stepnav.answers.reading.grammar import parse
from stepnav.answers.region import REALS

_SYNONYMS: tuple[tuple[Form, str], ...] = (
    (f.EMPTY, "no solution;no solutions;no real solution;no real solutions;none;empty;empty set"),
    (f.EMPTY, "null set;no such number;no roots;no real roots"),
    (REALS, "all real numbers;all reals;any real number;reals;real numbers;every real number"),
    (REALS, "set of all real numbers;all real x"),
    (Words("integers"), "integers;all integers;set of integers"),
    (Words("undefined"), "undefined;does not exist;dne;is undefined;not defined"),
    (f.INFINITY, "infinity;+infinity;positive infinity"),
    (f.MINUS_INFINITY, "-infinity;negative infinity;minus infinity"),
    (Words("infinitely many"), "infinitely many;infinitely many solutions;infinite solutions"),
)
_MEANINGS = {phrase: form for form, phrases in _SYNONYMS for phrase in phrases.split(";")}

Reader = Callable[[str], Form]

_SHORT = (
    "yes no odd all any red tie mon tue wed thu fri sat sun "
    "jan feb mar apr may jun jul aug sep oct nov dec"
)
"""Words of up to three letters; others are a product, and longer ones are words."""
_SHORT_WORDS = frozenset(_SHORT.split())

_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_LETTERS = re.compile(r"\\text\{([A-Za-z]{2,})\}|([A-Za-z]{2,})")
_ARTICLES = re.compile(r"^(?:the|a|an)\s+(?=\S{2})")
_BARE_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\s*:?\s*)?(?:\(([A-Za-z])\)|([A-Z]))[.):]?", re.IGNORECASE
)
_CHOICE_AND_VALUE = re.compile(r"(?:\(([A-Z])\)|([A-Z])[.):])[.:]?(?:\s+|(?<=\}))(\S.*)", re.DOTALL)
_SCALED = re.compile(rf"([-+]?\d[\d,]*(?:\.\d+)?)\s*({'|'.join(SCALES)}|dozen)")
_PROSE = re.compile(r"[^\W\d_]+(?:(?: |-|'|\. ?)[^\W\d_]+)*\.?")


def read_phrase(text: str, read: Reader) -> Form | None:
    """Return the form of an answer in words, None if it is not in words.

    Raises:
      UnreadableError: it is in words that are a sentence, or mixed with formulas.
    """
    plain = re.sub(r"\s+", " ", _TEXT.sub(r" \1 ", text)).strip().rstrip(".,").strip()
    folded = plain.casefold()
    if text.replace(" ", "") in ("\\emptyset", "\\{\\emptyset\\}"):
        return f.EMPTY
    folded = re.sub(r"\\infty\b", "infinity", folded)
    folded = re.sub(r"^there (?:is|are) ", "", folded)
    found = _MEANINGS.get(_ARTICLES.sub("", re.sub(r"(?<=[+-]) ", "", folded)))
    if found is not None:
        return found
    choice = _choice(plain, text, read)
    if choice is not None:
        return choice
    for reader in (_time, _date, _number):
        form = reader(plain)
        if form is not None:
            return form
    if "\\text" in text or _is_long(plain):
        return _words(plain, read)
    return None


def are_words(text: str) -> bool:
    """Return whether a plain text is words or a list of them, in which case says nothing."""
    parts = [part.strip() for part in text.split(",")]
    return all(_is_long(part) and _PROSE.fullmatch(part) for part in parts)


def _is_long(plain: str) -> bool:
    return len(plain) > 3 or plain.casefold() in _SHORT_WORDS


def are_letters_alike(left: str, right: str) -> bool | None:
    r"""Return whether two tidy answers of letters are one word, None if they may be a product.

    Letters in `\text{}` are a word, and so are they without it; three capitals are not to be
    reordered, as `ACF` where letters are asked for. Two may be: a segment has no first end.

    Example:
      >>> are_letters_alike(r"\text{odd}", "Odd"), are_letters_alike("ACF", "CAF")
      (True, False)
      >>> are_letters_alike("xy", "yx")
    """
    found = [_LETTERS.fullmatch(text) for text in (left, right)]
    if not all(found):
        return None
    words = [match[1] or match[2] for match in found if match]
    if any(match and match[1] for match in found):
        return words[0].casefold() == words[1].casefold() or None
    if all(len(word) == 3 and word.isupper() for word in words):
        return words[0] == words[1]
    return None


def _choice(plain: str, text: str, read: Reader) -> Form | None:
    match = _BARE_CHOICE.fullmatch(plain)
    if match:
        letter = match[1] or match[2]
        if letter.isupper() or (match[1] and letter in "abcde"):
            return Choice(letter.upper())
        return None
    match = _CHOICE_AND_VALUE.fullmatch(plain)
    if match is None or re.match(r"[*/^=<>+,;]|\\(?:cup|cap|cdot|times|le|ge)", match[3]):
        return None
    if match[1] and match[3][0] in "-(" and "\\text" not in text:
        return None
    return Choice(match[1] or match[2], read(match[3]))


def _time(plain: str) -> Form | None:
    if ":" in plain and "m" not in plain.lower():
        return None  # maybe a ratio
    time = read_time(plain.lower())
    return Moment(*time) if time else None


def _date(plain: str) -> Form | None:
    date = read_date(plain) if "\\" not in plain else None
    return Words(" ".join(date)) if date else None


def _number(plain: str) -> Form | None:
    scaled = _SCALED.fullmatch(plain.lower())
    if scaled:
        factor = SCALES.get(scaled[2], 12)
        return constant(Fraction(scaled[1].replace(",", "")) * factor)
    number = read_number_words(plain) if plain.replace(" ", "").replace("-", "").isalpha() else None
    return None if number is None else constant(number)


def _words(plain: str, read: Reader) -> Form | None:
    if not _PROSE.fullmatch(plain):
        parts = re.split(r"\s*,\s*(?:and\s+|or\s+)?|\s+and\s+|\s+or\s+", plain)
        if len(parts) > 1 and all(_PROSE.fullmatch(part) for part in parts):
            return _names(parts, read)
        return None
    if re.search(r"\s(?:and|or)\s", plain):
        return _names(re.split(r"\s+(?:and|or)\s+", plain), read)
    return Words(_spelled(plain))


def _names(parts: list[str], read: Reader) -> Form:
    members: list[Form] = []
    for part in parts:
        if len(part) == 1 and part.islower():
            members.append(Quantity(parse(part)))
        else:
            form = read_phrase(f"\\text{{{part}}}", read)
            if form is None:
                raise UnreadableError
            members.append(form)
    return Items(f.LIST, tuple(members))


def _spelled(plain: str) -> str:
    words = re.sub(r"[-'. ]+", " ", plain.casefold()).strip()
    return _ARTICLES.sub("", words)
