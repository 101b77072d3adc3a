"""Words in answers: units of measurement, numbers in words, times of day and dates.

A unit that is known has a dimension and a factor, so that 90 minutes are 1.5 hours; a word that is
no known unit (apples, ways) says nothing about the number before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from stepnav.core.numerals import SMALL_WORDS, TENS_WORDS


@dataclass(frozen=True)
class Unit:
    """A known unit.

    Attributes:
      dimension: its base dimensions with their exponents, none of them 0.
      factor: how many of the dimension's base units one of it is.
    """

    dimension: Mapping[str, int]
    factor: Fraction

    def raised(self, exponent: int) -> Unit:
        """Return the unit to a power."""
        dimension = {name: count * exponent for name, count in self.dimension.items()}
        return Unit(MappingProxyType(dimension), self.factor**exponent)

    def times(self, other: Unit) -> Unit:
        """Return the product of two units."""
        dimension = dict(self.dimension)
        for name, count in other.dimension.items():
            dimension[name] = dimension.get(name, 0) + count
        kept = {name: count for name, count in dimension.items() if count}
        return Unit(MappingProxyType(kept), self.factor * other.factor)


_TABLE = {
    "length": (
        "1 m meter meters metre metres; 1/1000 mm millimeter millimeters millimetre millimetres; "
        "1/100 cm centimeter centimeters centimetre centimetres; "
        "1/10 dm decimeter decimeters; 1000 km kilometer kilometers kilometre kilometres; "
        "0.0254 in inch inches; 0.3048 ft foot feet; 0.9144 yd yard yards; "
        "1609.344 mi mile miles"
    ),
    "mass": (
        "1 g gram grams; 1/1000 mg milligram milligrams; 1000 kg kilogram kilograms kgs; "
        "453.59237 lb lbs pound pounds; 28.349523125 oz ounce ounces; "
        "1000000 tonne tonnes"
    ),
    "time": (
        "1 s sec secs second seconds; 60 min mins minute minutes; 3600 h hr hrs hour hours; "
        "86400 day days; 604800 week weeks; 31536000 yr yrs year years; 2628000 month months"
    ),
    "angle": "1 degree degrees deg; 57 rad radian radians",
    "percent": "1 % percent",
    "dollar": "1 dollar dollars usd bucks; 1/100 cent cents penny pennies",
    "euro": "1 euro euros eur",
    "sterling": "1 \\pound sterling gbp",
    "heat": "1 \\degreeF fahrenheit",
    "celsius": "1 \\degreeC celsius",
    "count": "12 dozen",
}


def _table() -> dict[str, Unit]:
    units = {}
    for dimension, text in _TABLE.items():
        for entry in text.split("; "):
            factor, *names = entry.split()
            unit = Unit(MappingProxyType({dimension: 1}), Fraction(factor))
            units.update(dict.fromkeys(names, unit))
    litre = units["dm"].raised(3)
    units.update(dict.fromkeys(("l", "liter", "liters", "litre", "litres"), litre))
    thousandth = Unit(litre.dimension, litre.factor / 1000)
    units.update(dict.fromkeys(("ml", "milliliter", "milliliters", "cc"), thousandth))
    per_hour = units["hour"].raised(-1)
    units["mph"] = units["mile"].times(per_hour)
    units["kph"] = units["kmh"] = units["km"].times(per_hour)
    return units


UNITS = _table()
"""Known units by lower-case name."""

_POWER_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWER_AFTER = {"squared": 2, "cubed": 3}
_UNIT_TOKEN = re.compile(r"[A-Za-z]+|\\pound|\\degree ?[FC]?|%|\^ ?\{? ?-?\d ?\}?|/|\S")


def read_unit(text: str) -> Unit | None:
    r"""Return the unit that words such as "square cm", `cm^2`, "miles per hour" name.

    None if a word of it is no known unit.
    """
    result: Unit | None = None
    last: Unit | None = None
    sign, power = 1, 1
    for token in _UNIT_TOKEN.findall(re.sub(r"\\text\{([^{}]*)\}", r"\1", text)):
        word = token.lower().rstrip(".")
        if token[0] == "^" or word in _POWER_AFTER:
            digits = re.sub(r"[^\d-]", "", token)
            if result is None or not (digits.strip("-") or word in _POWER_AFTER):
                return None
            exponent = _POWER_AFTER.get(word) or int(digits)
            result = result if last is None else result.times(last.raised(sign * (exponent - 1)))
            last = None
        elif word in ("/", "per", "a", "an"):
            sign = -1
        elif word in _POWER_BEFORE:
            power = _POWER_BEFORE[word]
        elif word in (".", "\\cdot"):
            continue
        else:
            last = UNITS.get(token.replace(" ", "") if token[0] == "\\" else word)
            if token.strip() == "\\degree":
                last = UNITS["degree"]
            if last is None:
                return None
            unit = last.raised(sign * power)
            result = unit if result is None else result.times(unit)
            power = 1
    return result


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
