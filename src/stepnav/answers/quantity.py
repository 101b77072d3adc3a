"""Numbers in words, times of day and dates."""

from __future__ import annotations

import re
from fractions import Fraction

from stepnav.core.numerals import SMALL_WORDS, TENS_WORDS

_NUMBERS = {word: number for number, word in enumerate(SMALL_WORDS)}
_NUMBERS |= {word: 10 * (number + 2) for number, word in enumerate(TENS_WORDS)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7}
_PARTS |= {"eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100}
_PARTS |= {word + "s": part for word, part in _PARTS.items()} | {"halves": 2}


def read_number_words(text: str) -> Fraction | None:
    """Return the number that words name, None if they name none.

    Example:
      >>> read_number_words("twenty-five"), read_number_words("two and a half")
      (Fraction(25, 1), Fraction(5, 2))
    """
    words = [word for word in re.split(r"[\s-]+", text.lower().strip()) if word]
    if words[:1] == ["negative"] or words[:1] == ["minus"]:
        value = read_number_words(" ".join(words[1:]))
        return None if value is None else -value
    if not words:
        return None
    if words[-1] in _PARTS:
        return _read_parts(words)
    return _read_whole(words)


def _read_parts(words: list[str]) -> Fraction | None:
    part = Fraction(1, _PARTS[words[-1]])
    before = words[:-1]
    whole = Fraction(0)
    if "and" in before:
        cut = len(before) - 1 - before[::-1].index("and")
        number = _read_whole(before[:cut])
        if number is None:
            return None
        whole, before = number, before[cut + 1 :]
    if before in (["a"], ["one"]) or (not before and words[-1] == "half"):
        return whole + part
    count = _read_whole(before)
    return None if count is None else whole + count * part


def _read_whole(words: list[str]) -> Fraction | None:
    total, group, is_number = 0, 0, False
    for word in words:
        if word in _NUMBERS:
            number = _NUMBERS[word]
            if group % 10 and number < 100 and is_number:
                return None  # "one one"
            group += number
        elif word == "hundred":
            group = (group or 1) * 100
        elif word in SCALES:
            total, group = total + (group or 1) * SCALES[word], 0
        elif word in ("dozen",):
            group = (group or 1) * 12
        elif (word == "a" and not is_number) or (word == "and" and is_number):
            continue
        else:
            return None
        is_number = True
    return Fraction(total + group) if is_number else None


_TIME = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))? ?((?:[ap]\.? ?m\b\.?)?)", re.IGNORECASE)


def read_time(text: str) -> tuple[int, str] | None:
    """Return the seconds since twelve o'clock and "am", "pm" or ""; None if it is no time of day.

    A time without either counts as "am" or "pm" where its hour tells so.
    """
    match = _TIME.fullmatch({"noon": "12:00 pm", "midnight": "12:00 am"}.get(text, text).strip())
    if match is None or not (match[2] or match[4]):
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    half = re.sub(r"[. ]", "", match[4]).lower()
    if hour > 24 or minute > 59 or second > 59 or (half and not 1 <= hour <= 12):
        return None
    if not half and (hour > 12 or hour == 0):
        half = "pm" if 12 < hour < 24 else "am"
    return (hour % 12) * 3600 + minute * 60 + second, half


_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_SHORT_MONTHS = {month[:3]: month for month in _MONTHS} | {"sept": "september"}


def read_date(text: str) -> tuple[str, ...] | None:
    """Return the parts of a date with a month's name in one order; None if it is none."""
    words = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", text.lower()))
    words = [_SHORT_MONTHS.get(word, word) for word in words if word not in ("of", "the")]
    months = [word for word in words if word in _MONTHS]
    numbers = [str(int(word)) for word in words if word.isdigit()]
    if len(months) != 1 or not numbers or len(words) != len(numbers) + 1:
        return None
    return (months[0], *numbers)
