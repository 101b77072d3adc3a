"""Units of measurement and the other words after numbers.

A unit that is known has a dimension and a factor, so that 90 minutes are 1.5 hours; a word that is
no known unit (apples, ways) is a label, which may name the same as another word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType

from stepnav.answers import value as v
from stepnav.answers.value import Value


@dataclass(frozen=True)
class Unit:
    """A known unit.

    Attributes:
      dimension: its base dimensions with their exponents, none of them 0.
      factor, pi_power: one of it is `factor` times pi to this power of the dimension's base units.
      price: the currency alone, where it is a price per something; may be said instead of it.
    """

    dimension: Mapping[str, int]
    factor: Fraction
    pi_power: int = 0
    price: Unit | None = None

    def size(self) -> Value:
        """Return how many of the dimension's base units one of it is."""
        if self.pi_power == 0:
            return self.factor
        return v.multiply(self.factor, v.power(v.context().pi + 0, Fraction(self.pi_power)))

    def raised(self, exponent: int) -> Unit:
        """Return the unit to a power."""
        dimension = {name: count * exponent for name, count in self.dimension.items()}
        pi_power = self.pi_power * exponent
        return Unit(MappingProxyType(dimension), self.factor**exponent, pi_power)

    def times(self, other: Unit) -> Unit:
        """Return the product of two units."""
        dimension = dict(self.dimension)
        for name, count in other.dimension.items():
            dimension[name] = dimension.get(name, 0) + count
        kept = {name: count for name, count in dimension.items() if count}
        pi_power = self.pi_power + other.pi_power
        return Unit(MappingProxyType(kept), self.factor * other.factor, pi_power)

    def of_price(self, currency: Unit | None) -> Unit:
        """Return the unit as a price in a currency if it is one per something."""
        is_price = currency is not None and self.dimension != currency.dimension
        return replace(self, price=currency) if is_price else self

    def beside(self, other: Unit) -> Unit:
        """Return the part of a price that another unit says: what it is per, or the currency."""
        if self.price is None or other.price is not None or self.dimension == other.dimension:
            return self
        per = self.times(self.price.raised(-1))
        return per if per.dimension == other.dimension else self.price


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
    "angle": "1 degree degrees deg; 180/pi rad radian radians",
    "percent": "1 % percent",
    "dollar": "1 dollar dollars usd bucks; 1/100 cent cents penny pennies",
    "euro": "1 euro euros eur",
    "sterling": "1 \\pound sterling gbp",
    "heat": "1 \\degreeF fahrenheit",
    "celsius": "1 \\degreeC celsius",
    "current": "1 amp amps ampere amperes",
    "count": "12 dozen",
}


_DERIVED = {
    "dm^3": "l liter liters litre litres",
    "cm^3": "ml milliliter milliliters cc",
    "mile/hour": "mph",
    "km/hour": "kph kmh",
    "/second": "hertz hz",
    "kg m/s^2": "newton newtons",
    "newton m": "joule joules",
    "joule/second": "watt watts",
    "watt/ampere": "volt volts",
    "volt/ampere": "ohm ohms",
}


def _table() -> dict[str, Unit]:
    units = {}
    for dimension, text in _TABLE.items():
        for entry in text.split("; "):
            factor, *names = entry.split()
            number, slash, _ = factor.partition("/pi")
            unit = Unit(MappingProxyType({dimension: 1}), Fraction(number), -len(slash[:1]))
            units.update(dict.fromkeys(names, unit))
    return units


UNITS = _table()
"""Known units by lower-case name."""

CURRENCIES = ("dollar", "euro", "sterling")
"""Dimensions of what things cost."""

_PER = frozenset({"/", "per", "a", "an", "each", "every"})
_POWER_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWER_AFTER = {"squared": 2, "cubed": 3}
_UNIT_TOKEN = re.compile(r"[A-Za-z]+|\\pound|\\degree ?[FC]?|%|\^ ?\{? ?-?\d ?\}?|/|\S")
_NO_LABEL = frozenset({"a", "an", "the", "of", "in", "and", "per", "each", "every", "unit"})


def read_unit(text: str) -> Unit | None:
    r"""Return the unit that words such as "square cm", `cm^2`, "miles per hour" name.

    None if a word of it is no known unit.
    """
    tokens = _unit_tokens(text)
    unit, count = _known_unit(tokens)
    return unit if count == len(tokens) else None


def read_measure(text: str) -> tuple[Unit | None, frozenset[str]]:
    """Return the unit that words begin with, if any, and the label that the others are.

    Example:
      >>> unit, label = read_measure("dollars for the red marbles")
      >>> unit == UNITS["dollar"], sorted(label)
      (True, ['for', 'marble', 'red'])
    """
    tokens = _unit_tokens(text)
    unit, count = _known_unit(tokens)
    if count < len(tokens) and all(t.isalpha() and len(t) < 3 for t in tokens[:count]):
        unit = None  # "5 in all"
    words = {_singular(word.lower()) for word in tokens[count:] if word.isalpha()}
    return unit, frozenset(words - _NO_LABEL)


def _unit_tokens(text: str) -> list[str]:
    return _UNIT_TOKEN.findall(re.sub(r"\\text\{([^{}]*)\}", r"\1", text))


def _known_unit(tokens: Sequence[str]) -> tuple[Unit | None, int]:
    """Return the unit that tokens name up to the first that is none, and how many these are."""
    result: Unit | None = None
    last: Unit | None = None
    currency: Unit | None = None
    sign, power, count = 1, 1, 0
    for token in tokens:
        word = token.lower().rstrip(".")
        if token[0] == "^" or word in _POWER_AFTER:
            digits = re.sub(r"[^\d-]", "", token)
            if result is None or not (digits.strip("-") or word in _POWER_AFTER):
                break
            exponent = _POWER_AFTER.get(word) or int(digits)
            result = result if last is None else result.times(last.raised(sign * (exponent - 1)))
            last = None
        elif word in _PER:
            sign = -1
            if result is not None and any(result.dimension == {name: 1} for name in CURRENCIES):
                currency = result
        elif word in _POWER_BEFORE:
            power = _POWER_BEFORE[word]
        elif word not in (".", "\\cdot"):
            last = UNITS.get(token.replace(" ", "") if token[0] == "\\" else word)
            if token.strip() == "\\degree":
                last = UNITS["degree"]
            if last is None:
                break
            unit = last.raised(sign * power)
            result = unit if result is None else result.times(unit)
            power = 1
        count += 1
    return None if result is None else result.of_price(currency), count


def _singular(word: str) -> str:
    return {"men": "man", "women": "woman", "children": "child"}.get(word, word.removesuffix("s"))


for _text, _names in _DERIVED.items():
    _unit = read_unit(_text)
    assert _unit is not None, f"{_text} is made of known units"
    UNITS.update(dict.fromkeys(_names.split(), _unit))
