"""Reading an answer: from its tidy text to the form it has (see `forms`).

Each reader returns None where a text is not of its kind; the first that knows it wins. Commas,
relations and brackets count only outside other brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

from stepnav.answers import forms as f
from stepnav.answers.expression import SIGN, Expression, UnreadableError, parse, read_numeral
from stepnav.answers.forms import Form, Items, Matrix, Named, Quantity, Words
from stepnav.answers.phrases import read_phrase
from stepnav.answers.quantity import UNITS, Unit, read_time, read_unit
from stepnav.answers.region import REALS
from stepnav.answers.relations import RELATION, read_relation
from stepnav.answers.spelling import tidy

MAX_CHARACTERS = 2000
MAX_MEMBERS = 64

_OPENING = re.compile(r"\\begin|\\langle|\\[lL]floor|\\lceil|\\\{|[(\[{]")
_CLOSING = re.compile(r"\\end|\\rangle|\\rfloor|\\rceil|\\\}|[)\]}]")
_NAMED_SETS: dict[str, Form] = {"\\mathbb{R}": REALS, "\\mathbb{Z}": Words("integers")}
_EXCEPT = re.compile(
    r"(?:\\text\{)?all real(?:s| numbers)?,? (?:except|but|other than)(?: for)?\s*\}?(.+)", re.IGNORECASE
)
_MARK = re.compile(rf"{_OPENING.pattern}|{_CLOSING.pattern}|\\[A-Za-z]+|\\.|\s|.", re.DOTALL)
_GROUPS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")
_AND = re.compile(r"\\text\{,?\s*(and|or)\s*,?\}|,?\s(and|or)\s|,\s*(and|or)\b")


@lru_cache(maxsize=4096)
def read(answer: str) -> Form:
    """Return the form of an answer.

    Raises:
      UnreadableError: it has no form that is known here.
      TooBigError: a value in it is too big to be worked out.
    """
    if len(answer) > MAX_CHARACTERS:
        raise UnreadableError
    try:
        return _read(tidy(answer))
    except RecursionError:
        raise UnreadableError from None


def _read(text: str) -> Form:
    text = text.strip()
    if not text:
        raise UnreadableError
    for reader in _READERS:
        form = reader(text)
        if form is not None:
            return form
    raise UnreadableError


def split(text: str, separator: str) -> list[str]:
    """Return the parts of a text between separators (a regular expression) outside brackets."""
    parts, depth, start = [], 0, 0
    pattern = re.compile(separator)
    at = 0
    while at < len(text):
        found = pattern.match(text, at) if depth == 0 else None
        if found and found[0]:
            parts.append(text[start:at])
            at = start = found.end()
            continue
        mark = _MARK.match(text, at)
        assert mark is not None, "every character is a mark"
        if _OPENING.fullmatch(mark[0]):
            depth += 1
        elif _CLOSING.fullmatch(mark[0]):
            depth = max(0, depth - 1)
        at = mark.end()
    return [*parts, text[start:]]


def _phrase(text: str) -> Form | None:
    return read_phrase(text, _read)


def _list(text: str) -> Form | None:
    joined = _AND.sub(lambda m: f" \0{m[1] or m[2] or m[3]} ", text)
    if not re.search(r"[(\[{]", joined):
        joined = _GROUPS.sub(lambda m: m[0].replace(",", ""), joined)
    if re.fullmatch(r"\s*(?:\\text\{)?both\b.*", joined):
        return None
    pieces = split(joined, "\0(?:and|or) ")
    if len(pieces) > 1:
        combined = _conditions(pieces, is_or="\0or" in joined)
        if combined is not None:
            return combined
    parts = [part for part in split(joined.replace("\0and ", ",").replace("\0or ", ","), r"[,;]")]
    if len(parts) < 2:
        plain = joined.strip()
        return _read(plain) if plain != text else None
    members = _members([part for part in parts if part.strip()])
    return _gather(members)


def _conditions(pieces: list[str], *, is_or: bool) -> Form | None:
    """Return the region of conditions such as `x < 1 or x > 3`."""
    if not all(RELATION.search(piece) for piece in pieces):
        return None
    found = [_read(piece) for piece in pieces]
    regions = [item.form for item in found if isinstance(item, Named)]
    names = {item.name for item in found if isinstance(item, Named)}
    if len(regions) != len(found) or len(names) != 1:
        return None
    total, *rest = (f.as_region(region) for region in regions)
    for region in rest:
        if total is None or region is None:
            return None
        total = total | region if is_or else total & region
    if total is None or not any(isinstance(region, f.Region) for region in regions):
        return None
    return Named(names.pop(), total)


def _members(parts: Sequence[str]) -> list[Form]:
    if len(parts) > MAX_MEMBERS:
        raise UnreadableError
    members: list[Form] = []
    for part in parts:
        member = _read(part)
        if isinstance(member, Items) and member.brackets == f.LIST:
            members.extend(member.members)  # a plus-minus sign
        elif _is_named_list(member):
            assert isinstance(member, Named) and isinstance(member.form, Items), "checked above"
            members.extend(Named(member.name, item) for item in member.form.members)
        else:
            members.append(member)
    return members


def _is_named_list(form: Form) -> bool:
    return (
        isinstance(form, Named) and isinstance(form.form, Items) and form.form.brackets == f.LIST
    )


def _gather(members: list[Form]) -> Form:
    """Return a list; of values of one name, their list under this name; of several, a system."""
    names = [member.name for member in members if isinstance(member, Named)]
    plain: list[Form] = [m.form if isinstance(m, Named) else m for m in members]
    if names and len(set(names)) == 1 and isinstance(members[0], Named):
        return Named(names[0], Items(f.LIST, tuple(plain)))
    if len(names) == len(members) > 1 and len(set(names)) == len(names):
        ordered = sorted((m for m in members if isinstance(m, Named)), key=lambda m: m.name)
        return Items(f.SYSTEM, tuple(ordered))
    return Items(f.LIST, tuple(members))


def _sets(text: str) -> Form | None:
    joined = re.sub(r"(?<=[)\]}])\s*U\s*(?=[(\[\\])", r"\\cup ", text)
    for operator in (r"\\cup(?![A-Za-z])", r"\\cap(?![A-Za-z])", r"\\setminus(?![A-Za-z])"):
        parts = split(joined, operator)
        if len(parts) > 1:
            return _combined(operator, [_read(part) for part in parts])
    if re.search(r"^\\mathbb\{R\}\s*-\s*\\\{", joined):
        return _read(re.sub(r"\}\s*-\s*", r"}\\setminus ", joined, count=1))
    return None


def _combined(operator: str, operands: list[Form]) -> Form:
    if "cup" in operator and all(isinstance(o, Items) and o.brackets == f.SET for o in operands):
        return Items(f.SET, tuple(m for o in operands if isinstance(o, Items) for m in o.members))
    regions = [f.as_region(operand) for operand in operands]
    total = regions[0]
    for region in regions[1:]:
        if total is None or region is None:
            raise UnreadableError
        if "cup" in operator:
            total = total | region
        else:
            total = total & (region if "cap" in operator else ~region)
    if total is None:
        raise UnreadableError
    return total


def _relation(text: str) -> Form | None:
    return read_relation(text, split, _read)


def _bracketed(text: str) -> Form | None:
    match = re.fullmatch(r"(\\\{|\\langle|[(\[])(.*)(\\\}|\\rangle|[)\]])", text, re.DOTALL)
    if match is None or len(split(text, r"(?<=[)\]}])(?=.)")) > 1 or not _encloses(text):
        return None
    opening, inner, closing = match.groups()
    if opening == "\\{":
        return _set(inner)
    parts = split(inner, ",")
    if len(parts) < 2:
        return None if opening == "[" else _inner(inner)
    brackets = (opening + closing).replace("\\langle", "(").replace("\\rangle", ")")
    return Items(brackets, tuple(_read(part) for part in parts))


def _encloses(text: str) -> bool:
    """Return whether the first bracket closes at the end."""
    depth = 0
    for mark in _MARK.finditer(text):
        depth += bool(_OPENING.fullmatch(mark[0])) - bool(_CLOSING.fullmatch(mark[0]))
        if depth == 0:
            return mark.end() == len(text)
    return False


def _set(inner: str) -> Form:
    if not inner.strip():
        return f.EMPTY
    builder = split(inner, r"\\mid(?![A-Za-z])|(?<!\|)\||:")
    if len(builder) == 2:
        condition = _read(builder[1])
        name = re.match(r"\s*\\?[A-Za-z]+", builder[0])
        if isinstance(condition, Named) and name and name[0].strip() == condition.name:
            return condition.form
        raise UnreadableError
    parts = split(inner, ",")
    members: list[Form] = []
    for member in _members(parts):
        if member not in members:
            members.append(member)
    return Items(f.SET, tuple(members))


def _inner(inner: str) -> Form | None:
    form = _read(inner)
    return None if isinstance(form, Quantity) else form


_MATRIX = re.compile(
    r"([^&]*?)\s*[(\[]?\s*\\begin\{(?:[pbB]?matrix|smallmatrix|array)\}(?:\{[^{}]*\})?(.*?)"
    r"\\end\{(?:[pbB]?matrix|smallmatrix|array)\}\s*[)\]]?\s*(\^\s*\{?\s*(?:T|\\top)\s*\}?)?",
    re.DOTALL,
)


def _matrix(text: str) -> Form | None:
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    factor, body, transposed = match.groups()
    cells = [line.split("&") for line in body.replace("\\hline", "").split("\\\\") if line.strip()]
    if not cells or len({len(row) for row in cells}) != 1:
        raise UnreadableError
    prefix = f"({factor})" if factor.strip() not in ("", "-") else factor
    rows = [tuple(_read(f"{prefix}({cell})" if prefix else cell) for cell in row) for row in cells]
    return Matrix(tuple(zip(*rows)) if transposed else tuple(rows))


_CURRENCY = re.compile(
    r"([-+]?)\s*(\\dollar|\\euro|\\pound|(?:USD|EUR|GBP)(?=\s*\d))\s*([-+]?\S.*)", re.DOTALL
)
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
_COMPOUND = re.compile(r"(\d+(?:\.\d+)?|\\frac\{\d+\}\{\d+\})\s*([A-Za-z]+\.?|\\degree|'|\")")


_NUMERAL = re.compile(r"\(?((?=[A-Z]*\d|[A-Z]{2})[0-9A-Z.]+)\)?\s*_\s*(?:\{([^{}]*)\}|(\d))")


def _quantity(text: str) -> Form | None:
    if re.fullmatch(r"0(?:x[0-9A-Fa-f]{1,64}|b[01]{1,64}|o[0-7]{1,64})", text):
        return _constant(Fraction(int(text, 0)))
    numeral = _NUMERAL.fullmatch(text)
    if numeral:
        return _constant(read_numeral(numeral[1], numeral[2] or numeral[3]))
    ordinal = _ORDINAL.fullmatch(text)
    if ordinal:
        return Quantity(parse(ordinal[1]))
    money = _CURRENCY.fullmatch(text)
    if money:
        name = _CURRENCIES.get(money[2], money[2].lower())
        amount = _read(money[1] + money[3])
        return _with_unit(amount, UNITS[name]) if isinstance(amount, Quantity) else None
    for reader in (_suffixed, _bare_suffixed):
        form = reader(text)
        if form is not None:
            return form
    return _expression(text, None)


def _constant(value: Fraction) -> Quantity:
    return Quantity(Expression(lambda point: value, frozenset()))


def _with_unit(amount: Quantity, unit: Unit) -> Quantity:
    return Quantity(amount.expression, unit if amount.unit is None else None)


def _suffixed(text: str) -> Form | None:
    match = _TEXT_SUFFIX.fullmatch(text)
    if match is None or (_HAS_FUNCTION.search(match[1]) and "\\text" not in match[2]):
        return None
    if re.search(r"\\text\{[^{}]*\d[^{}]*\}", match[2]):
        return None
    return _expression(match[1], read_unit(match[2]))


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
        return _expression(body, None)
    return None


def _compound(text: str) -> Form | None:
    r"""Return the sum of parts such as "2 hours 15 minutes"."""
    plain = re.sub(r"\\text\{([^{}]*)\}", r"\1 ", text)
    plain = re.sub(r"\band\b|,", " ", plain)
    parts = _COMPOUND.findall(plain)
    if len(parts) < 2 or _COMPOUND.sub("", plain).strip():
        return None
    marks = {"'": ("minute", "foot"), '"': ("second", "inch")}
    is_angle = parts[0][1] == "\\degree"
    first: Unit | None = None
    scaled = Fraction(0)
    for number, name in parts:
        if is_angle:
            factor = {"\\degree": 1, "'": Fraction(1, 60), '"': Fraction(1, 3600)}.get(name)
            unit = None if factor is None else Unit(UNITS["degree"].dimension, Fraction(factor))
        else:
            unit = read_unit(marks[name][1] if name in marks else name)
        amount = parse(number).constant()
        if unit is None or amount is None or (first and unit.dimension != first.dimension):
            return None
        first = first or unit
        scaled += Fraction(amount) * unit.factor / first.factor
    assert first is not None, "there are at least two parts"
    return Quantity(_constant(scaled).expression, first)


def _ratio(text: str) -> Form | None:
    parts = split(text, ":")
    if len(parts) < 2 or any(not part.strip() for part in parts):
        return None
    members = [_read(part) for part in parts]
    if not all(isinstance(member, Quantity) for member in members):
        raise UnreadableError
    time = read_time(text.strip()) if len(parts) < 4 else None
    return Items(f.RATIO, tuple(members), f.Moment(*time) if time else None)


def _expression(text: str, unit: Unit | None) -> Form:
    expression = parse(_GROUPS.sub(lambda m: m[0].replace(",", ""), text))
    if SIGN not in expression.names:
        return Quantity(expression, unit)
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


def _named_set(text: str) -> Form | None:
    exception = _EXCEPT.fullmatch(text)
    if exception:
        return _combined("setminus", [REALS, _set(exception[1].replace("\\text{ and }", ","))])
    return _NAMED_SETS.get(text.replace(" ", ""))


_READERS: tuple[Callable[[str], Form | None], ...] = (
    _named_set,
    _phrase,
    _sets,
    _compound,
    _list,
    _relation,
    _bracketed,
    _matrix,
    _ratio,
    _quantity,
)
