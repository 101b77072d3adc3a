"""Reading a number with what may stand around it: currency, units, suffixes, a base."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from stepnav.answers import forms as f
from stepnav.answers.expression import SIGN, Expression
from stepnav.answers.forms import Form, Items, Quantity, constant
from stepnav.answers.reading.grammar import parse
from stepnav.answers.reading.numerals import read_numeral
from stepnav.answers.units import UNITS, Unit, read_measure, read_unit

Reader = Callable[[str], Form]

GROUPS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")
_CURRENCY = re.compile(
    r"([-+]?)\s*(\\dollar|\\euro|\\pound|(?:USD|EUR|GBP)(?=\s*\d))\s*([-+]?\S.*)", re.DOTALL
)
_PRICE_PER = re.compile(r"(?<=[\d}])\s*/\s*(?:\\text\{([^{}]*)\}|([A-Za-z]{2,}))")
_RATE = re.compile(r"[\d.,]+\s*/\s*(?:[A-Za-z]{3,}|hr)")
_CURRENCIES = {"\\dollar": "dollar", "\\euro": "euro", "\\pound": "\\pound"}
_TEXT_SUFFIX = re.compile(
    r"(.*?[^\s^_{,=+*/-])\s*((?:\\text\{[^{}]*\}|%|\\degree ?[FC]?)"
    r"(?:\s*(?:\^\s*(?:\{\s*-?\d\s*\}|\d)|/|\\cdot|\\text\{[^{}]*\}|(?<=/)[a-z]+))*)",
    re.DOTALL,
)
_BARE_SUFFIX = re.compile(
    r"(.*?(?:[\d)}!]|\\pi))(\s*)((?:[A-Za-z]+\.?\s*)(?:(?:[A-Za-z]+\.?|/)\s*)*"
    r"(?:\^\s*(?:\{\s*-?\d\s*\}|\d)\s*)?(?:/\s*[A-Za-z]+\s*(?:\^\s*(?:\{\s*-?\d\s*\}|\d))?)?)",
    re.DOTALL,
)
_HAS_FUNCTION = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc|cis)")
_ORDINAL = re.compile(r"(\d+)\s*(?:\^\s*\{?\s*)?(?:\\text\{)?(?:st|nd|rd|th)\}?\s*\}?")
_DEGREE = UNITS["degree"]
_ANGLE_PARTS = {
    "\\degree": _DEGREE,
    "'": Unit(_DEGREE.dimension, Fraction(1, 60)),
    '"': Unit(_DEGREE.dimension, Fraction(1, 3600)),
}
_LENGTH_PARTS = {"'": UNITS["foot"], '"': UNITS["inch"]}
_COMPOUND = re.compile(r"(\d+(?:\.\d+)?|\\frac\{\d+\}\{\d+\})\s*([A-Za-z]+\.?|\\degree|'|\")")


_NUMERAL = re.compile(r"\(?((?=[A-Z]*\d|[A-Z]{2})[0-9A-Z.]+)\)?\s*_\s*(?:\{([^{}]*)\}|(\d))")


def read_quantity(text: str, read: Reader) -> Form | None:
    """Return the quantity that a text states, or the list of two with a plus-minus sign."""
    if re.fullmatch(r"0(?:x[0-9A-Fa-f]{1,64}|b[01]{1,64}|o[0-7]{1,64})", text):
        return constant(Fraction(int(text, 0)))
    numeral = _NUMERAL.fullmatch(text)
    if numeral:
        return constant(read_numeral(numeral[1], numeral[2] or numeral[3]))
    ordinal = _ORDINAL.fullmatch(text)
    if ordinal:
        return Quantity(parse(ordinal[1]))
    money = _CURRENCY.fullmatch(text)
    if money:
        name = _CURRENCIES.get(money[2], money[2].lower())
        amount = read(_PRICE_PER.sub(_per, money[1] + money[3]))
        return _with_currency(amount, UNITS[name]) if isinstance(amount, Quantity) else None
    if _RATE.fullmatch(text):
        text = _PRICE_PER.sub(_per, text)
    for reader in (_suffixed, _bare_suffixed):
        form = reader(text)
        if form is not None:
            return form
    return _expression(text, None)


def _per(match: re.Match[str]) -> str:
    """Return what a price is per in words, unless it is a product of letters."""
    is_unit = match[1] is not None or match[2].lower() in UNITS
    return f" \\text{{per {match[1] or match[2]}}}" if is_unit else match[0]


def _with_currency(amount: Quantity, currency: Unit) -> Quantity:
    unit = amount.unit
    if unit is None:
        unit = currency
    elif not currency.dimension.keys() <= unit.dimension.keys():  # "$5 dollars" says it twice
        unit = currency.times(unit).of_price(currency)
    return Quantity(amount.expression, unit, amount.label)


def _suffixed(text: str) -> Form | None:
    match = _TEXT_SUFFIX.fullmatch(text)
    if match is None or (_HAS_FUNCTION.search(match[1]) and "\\text" not in match[2]):
        return None
    if re.search(r"\\text\{[^{}]*\d[^{}]*\}", match[2]):
        return None
    return _expression(match[1], *read_measure(match[2]))


def _bare_suffixed(text: str) -> Form | None:
    match = _BARE_SUFFIX.fullmatch(text)
    if match is None:
        return None
    body, gap, suffix = match[1], match[2], match[3].strip()
    unit = read_unit(suffix)
    words = re.findall(r"[A-Za-z]+", suffix)
    if unit is not None and (gap or max(map(len, words)) > 1):
        return _expression(body, unit)
    is_number = re.fullmatch(r"[-+\d.,\s\\a-z{}/]*", body) is not None
    if unit is None and gap and is_number and all(len(w) > 2 or w in ("of", "in") for w in words):
        return _expression(body, *read_measure(suffix))
    return None


def read_compound(text: str) -> Form | None:
    r"""Return the sum of parts such as "2 hours 15 minutes"."""
    plain = re.sub(r"\\text\{([^{}]*)\}", r"\1 ", text)
    plain = re.sub(r"\band\b|,", " ", plain)
    parts = _COMPOUND.findall(plain)
    if len(parts) < 2 or _COMPOUND.sub("", plain).strip():
        return None
    units = _ANGLE_PARTS if parts[0][1] == "\\degree" else _LENGTH_PARTS
    first: Unit | None = None
    last, total = None, Fraction(0)
    for number, name in parts:
        unit = units.get(name) or read_unit(name)
        amount = parse(number).constant()
        if unit is None or unit.pi_power or amount is None:
            return None
        if first is not None and unit.dimension != first.dimension:
            return None
        if last is not None and unit.factor >= last:
            return None  # "5 cm, 7 cm" are two
        first, last = first or unit, unit.factor
        total += amount * unit.factor / first.factor
    return Quantity(constant(total).expression, first)


def _expression(text: str, unit: Unit | None, label: frozenset[str] = frozenset()) -> Form:
    expression = parse(GROUPS.sub(lambda m: m[0].replace(",", ""), text))
    if SIGN not in expression.names:
        return Quantity(expression, unit, label)
    names = expression.names - {SIGN}
    return Items(
        f.LIST,
        tuple(
            Quantity(Expression(_signed(expression, sign), names), unit)
            for sign in (Fraction(1), Fraction(-1))
        ),
    )


def _signed(expression: Expression, sign: Fraction) -> Callable[..., object]:
    return lambda point: expression.run({**point, SIGN: sign})
