"""Bare sums: signs or words, two or three numbers, with and without a question around them."""

from __future__ import annotations

import random

from stepnav.tasks.plain.relation import RANGES
from stepnav.tasks.plain.tables import TEXTS
from stepnav.tasks.plain.wording import number_word

_SIGNS = {
    "+": ("+", "+", "+", "plus", "plus", "and", "added to"),
    "-": ("-", "-", "-", "minus", "minus", "take away", "less", "−"),  # noqa: RUF001
    "*": ("*", "*", "x", "×", "times", "times", "multiplied by"),  # noqa: RUF001
    "/": ("/", "/", "÷", "divided by", "divided by", ":"),
}
_TIGHT = {"+": "+", "-": "-", "*": "*x×", "/": "/÷"}  # noqa: RUF001

_THREE = ("p = a + b; q = p + c", "p = a * b; q = p * c")
"""Plans of three numbers that have phrases."""


def draw_bare(rng: random.Random) -> tuple[str, str, dict[str, int], list[str]]:
    """Return (question, plan, numbers, names in order) of a bare sum; the plan may not work out."""
    if rng.random() < 0.62:
        return _two(rng)
    return _three(rng)


def _two(rng: random.Random) -> tuple[str, str, dict[str, int], list[str]]:
    sign = rng.choice("++--***//")
    left, right = _operands(sign, rng)
    numbers = {"a": left, "b": right}
    if rng.random() < 0.4:
        template = rng.choice(TEXTS[f"bare {sign}"])
        order = ["a", "b"] if template.find("{a}") < template.find("{b}") else ["b", "a"]
        question = template.format(a=_number(left, rng), b=_number(right, rng))
        return question, f"p = a {sign} b", numbers, order
    return _framed(_join(left, sign, right, rng), rng), f"p = a {sign} b", numbers, ["a", "b"]


def _operands(sign: str, rng: random.Random) -> tuple[int, int]:
    """Return two numbers for which the sign gives a natural number, mostly small ones."""
    if sign == "*":
        first, second = rng.choice(((9, 9), (12, 12), (9, 99), (20, 20), (99, 99), (9, 999)))
        pair = [rng.randint(1, first), rng.randint(1, second)]
        rng.shuffle(pair)
        return pair[0], pair[1]
    if sign == "/":
        divisor = rng.randint(1, rng.choice((10, 12, 20)))
        return divisor * rng.randint(1, rng.choice((10, 12, 50, 200))), divisor
    kinds = (*RANGES["X"], (1, 9), (1, 20), (1000, 5000))
    one, other = rng.randint(*rng.choice(kinds)), rng.randint(*rng.choice(kinds))
    if sign == "-":
        one, other = max(one, other), min(one, other)
    return one, other


def _three(rng: random.Random) -> tuple[str, str, dict[str, int], list[str]]:
    """Return a sum of three numbers, signs bound as usual or by brackets."""
    numbers = {name: rng.randint(1, rng.choice((9, 12, 20, 50, 100))) for name in "abc"}
    if rng.random() < 0.2:
        plan = rng.choice(_THREE)
        template = rng.choice(TEXTS[f"bare {plan}"])
        texts = {name: _number(value, rng) for name, value in numbers.items()}
        return template.format(**texts), plan, numbers, list("abc")
    first, second = rng.choice(
        ("+-", "++", "-+", "--", "*+", "+*", "*-", "-*", "/+", "+/", "**", "*/", "/*")
    )
    if "/" in first + second:
        dividend = "a" if first == "/" else "b" if second == "/" and first != "*" else "a"
        divisor = "b" if first == "/" else "c"
        numbers[dividend] = numbers[divisor] * rng.randint(1, 12)
    is_bracketed = rng.random() < 0.3
    joined, plan = _bound(numbers, first, second, is_bracketed, rng)
    return _framed(joined, rng), plan, numbers, list("abc")


def _bound(
    numbers: dict[str, int], first: str, second: str, is_bracketed: bool, rng: random.Random
) -> tuple[str, str]:
    """Return (text, plan) of a sum of three numbers."""
    a, b, c = (numbers[name] for name in "abc")
    is_second_first = second in "*/" and first in "+-"
    if is_bracketed:
        is_second_first = rng.random() < 0.5
    if not is_bracketed and rng.random() < 0.5 and not is_second_first:
        tight = rng.random() < 0.3
        space = "" if tight else " "
        text = f"{a}{space}{_sign(first, rng)}{space}{b}{space}{_sign(second, rng)}{space}{c}"
    elif is_second_first:
        inner = _join(b, second, c, rng)
        text = f"{_number(a, rng)} {_loose(first, rng)} {f'({inner})' if is_bracketed else inner}"
    else:
        inner = _join(a, first, b, rng)
        text = f"{f'({inner})' if is_bracketed else inner} {_loose(second, rng)} {_number(c, rng)}"
    if is_second_first:
        return text, f"p = b {second} c; q = a {first} p"
    return text, f"p = a {first} b; q = p {second} c"


def _join(left: int, sign: str, right: int, rng: random.Random) -> str:
    if rng.random() < 0.25:
        return f"{left}{_sign(sign, rng)}{right}"
    return f"{_number(left, rng)} {_loose(sign, rng)} {_number(right, rng)}"


def _sign(sign: str, rng: random.Random) -> str:
    return rng.choice(_TIGHT[sign])


def _loose(sign: str, rng: random.Random) -> str:
    return rng.choice(_SIGNS[sign])


def _framed(text: str, rng: random.Random) -> str:
    question = rng.choice(TEXTS["bare frames"]).format(x=text)
    return question[:1].upper() + question[1:] if rng.random() < 0.7 else question


def _number(number: int, rng: random.Random) -> str:
    word = number_word(number) if rng.random() < 0.15 else None
    return word or (f"{number:,}" if rng.random() < 0.3 else str(number))
