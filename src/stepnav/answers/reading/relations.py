r"""Relations in answers: `x = 5`, `y = 2x + 1`, `-1 < x \le 3`, `x \in (0, 1)`."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

from stepnav.answers import value as v
from stepnav.answers.expression import STRICT, Expression, UnreadableError, same
from stepnav.answers.forms import Form, Named, Quantity, Relation
from stepnav.answers.reading.grammar import parse
from stepnav.answers.region import INF, Region
from stepnav.answers.value import Value

RELATION = re.compile(r"\\(?:le|ge|ne|in|equiv|approx|sim|to|cong)(?![A-Za-z])|[=<>]")

_LETTER = (
    r"(?:[A-Za-z]|\\(?!pi\b)(?:alpha|beta|gamma|delta|theta|lambda|mu|phi|rho|sigma|omega|ell)\b)"
)
_NAME = re.compile(
    rf"{_LETTER}(?:_(?:\w|\{{[^{{}}]*\}}))?'*"  # x, a_n, f'
    rf"|{_LETTER}'*\s*\([^=]*\)"  # f(x), P(A)
    r"|[A-Za-z](?::[A-Za-z])+"  # a:b
    r"|[A-Z]{2,3}|\\text\{[^{}]*\}|[A-Za-z]{4,}"  # AB, area
    r"|(?:m\s*)?\\angle\s*[A-Z]+|\\overline\{[A-Z]+\}|\|[A-Z]+\|"
    r"|\\(?:sin|cos|tan)\s*[A-Z]"
    rf"|\(\s*{_LETTER}(?:\s*,\s*{_LETTER})+\s*\)"  # (x, y)
)
_COORDINATES = frozenset("xyz")

_PROBES = (0, 1, -1_000_003, 1_000_033)
"""Where a difference is looked at to see that it is linear."""

Splitter = Callable[[str, str], list[str]]
Reader = Callable[[str], Form]


def read_relation(text: str, split: Splitter, read: Reader) -> Form | None:
    """Return what a relation says, None if the text holds none outside brackets.

    Raises:
      UnreadableError: it is a relation of another kind.
    """
    parts = [part.strip() for part in split(text, RELATION.pattern)]
    if len(parts) < 2:
        return None
    signs = _signs(text, parts)
    if not all(parts):
        raise UnreadableError
    if signs == ["\\in"]:
        return Named(_name(parts[0]) or _refuse(), read(parts[1]))
    if signs == ["\\equiv"]:
        return _congruence(*parts)
    if set(signs) <= {"=", "\\approx"}:
        return _equation(parts, read)
    if set(signs) <= {"<", ">", "\\le", "\\ge", "\\ne"}:
        return _inequality(parts, signs)
    raise UnreadableError


def _signs(text: str, parts: list[str]) -> list[str]:
    """Return the signs between the parts."""
    signs, at = [], 0
    for part in parts[:-1]:
        at = text.index(part, at) + len(part)
        match = RELATION.search(text, at)
        assert match is not None, "a sign follows each part but the last"
        signs.append(match[0])
        at = match.end()
    return signs


def _refuse() -> str:
    raise UnreadableError


def _name(text: str) -> str | None:
    if not _NAME.fullmatch(text) or text in ("e", "i"):
        return None
    return re.sub(r"\s+|(?<=_)\{(.)\}", lambda m: m[1] or "", text)


def _equation(parts: list[str], read: Reader) -> Form:
    if len(parts) == 2 and _name(parts[1]) and not _name(parts[0]):
        parts = parts[::-1]
    name = _name(parts[0])
    if name is None or _is_curve(name, parts[-1]):
        if len(parts) > 2 or name is None:
            return _unnamed(parts)
        return Relation("=", _difference(*parts))
    form = read(parts[-1])
    if len(parts) > 2 and not _is_chain(parts[1:]):
        raise UnreadableError
    return Named(name, form)


def _congruence(left: str, right: str) -> Form:
    match = re.fullmatch(r"(-?\d{1,50})\s*\(?\\(?:p?mod|bmod)\s*\{?(\d{1,50})\}?\)?", right)
    name = _name(left)
    if match is None or name is None or int(match[2]) == 0:
        raise UnreadableError
    residue = Fraction(int(match[1]) % int(match[2]))
    return Named(
        f"{name} mod {int(match[2])}", Quantity(Expression(lambda p: residue, frozenset()))
    )


def _is_curve(name: str, right: str) -> bool:
    """Return whether `name = right` relates coordinates, as `y = 2x + 1` does."""
    if name not in _COORDINATES:
        return False
    try:
        return bool(parse(right).names & _COORDINATES)
    except UnreadableError:
        return False


def _unnamed(parts: list[str]) -> Form:
    sides = [parse(part) for part in parts]
    if all(side.constant() is not None for side in sides):
        if _is_chain(parts):
            return Quantity(sides[-1])
        raise UnreadableError
    if len(parts) > 2:
        raise UnreadableError
    return Relation("=", _difference(*parts))


def _is_chain(parts: list[str]) -> bool:
    sides = [parse(part) for part in parts]
    return all(same(left, right) for left, right in pairwise(sides))


def _difference(left: str, right: str) -> Expression:
    a, b = parse(left), parse(right)
    return Expression(
        lambda point: v.add(a.run(point), v.multiply(Fraction(-1), b.run(point))),
        a.names | b.names,
    )


def _inequality(parts: list[str], signs: list[str]) -> Form:
    differences = [_difference(*pair) for pair in _finite(parts)]
    if not differences:
        raise UnreadableError  # nothing but infinity
    names = frozenset().union(*(difference.names for difference in differences))
    if len(names) == 1:
        regions = _regions(parts, signs)
        if regions is not None:
            total = regions[0]
            for region in regions[1:]:
                total = total & region
            (name,) = names
            return Named(name, total)
    if len(signs) != 1:
        raise UnreadableError
    difference = differences[0]
    if signs[0] in (">", "\\ge"):
        run = difference.run
        difference = Expression(lambda p: v.multiply(Fraction(-1), run(p)), difference.names)
    return Relation({">": "<", "\\ge": "\\le"}.get(signs[0], signs[0]), difference)


def _infinite(text: str) -> bool:
    return "\\infty" in text


def _finite(parts: list[str]) -> list[tuple[str, str]]:
    return [pair for pair in pairwise(parts) if not any(map(_infinite, pair))]


def _regions(parts: list[str], signs: list[str]) -> list[Region] | None:
    found = []
    for (left, right), sign in zip(pairwise(parts), signs):
        if _infinite(left) or _infinite(right):
            continue  # x < infinity
        region = _half_line(_difference(left, right), sign)
        if region is None:
            region = _by_absolute_value(left, right, sign)
        if region is None:
            return None
        found.append(region)
    return found


def _half_line(difference: Expression, sign: str) -> Region | None:
    """Return where a linear difference in one letter is `sign` 0; None if it is not linear."""
    (name,) = difference.names or {""}
    try:
        at = [difference.run({name: Fraction(x), STRICT: True}) for x in _PROBES]
    except v.OutsideError:
        return None
    slope = v.add(at[1], v.multiply(Fraction(-1), at[0]))
    for x, value in zip(_PROBES[2:], at[2:]):
        if not v.same(value, v.add(at[0], v.multiply(Fraction(x), slope))):
            return None
    if v.is_zero(slope) or not all(v.is_real(value) for value in at):
        return None
    bound = v.divide(v.multiply(Fraction(-1), at[0]), slope)
    if sign == "\\ne":
        return ~Region.of((bound, bound, True, True))
    is_below = (sign in ("<", "\\le")) != v.is_negative(slope)
    is_closed = sign in ("\\le", "\\ge")
    ends: tuple[Value, Value, bool, bool] = (
        (-INF, bound, False, is_closed) if is_below else (bound, INF, is_closed, False)
    )
    return Region.of(ends)


def _by_absolute_value(left: str, right: str, sign: str) -> Region | None:
    """Return where `|a| < b` holds, for a constant b."""
    turned = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
    inner = re.fullmatch(r"\|([^|]*)\|", left)
    if inner is None:
        if not re.fullmatch(r"\|([^|]*)\|", right) or sign not in turned:
            return None
        return _by_absolute_value(right, left, turned[sign])
    if sign not in turned:
        return None
    below = _half_line(_difference(inner[1], right), sign)
    above = _half_line(_difference(f"-({inner[1]})", right), sign)
    if below is None or above is None:
        return None
    return below & above if sign in ("<", "\\le") else below | above
