r"""Reading an expression in LaTeX or plain notation, by recursive descent.

The parser turns the text into a function of its letters' values; `i` and `e` are the constants.
Deliberately absent: simplification, limits, sums and integrals, which are `UnreadableError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from stepnav.answers import value as v
from stepnav.answers.expression import SIGN, STRICT, Expression, Run, UnreadableError
from stepnav.answers.reading.numerals import read_decimal, read_numeral
from stepnav.answers.value import Value

MAX_DEPTH = 40

_TOKEN = re.compile(
    r"\s*(\d*\.\d*\\overline\{\d+\}|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\.\d+"
    r"|\\text\{[^{}]*\}|\\[A-Za-z]+|\\.|\S)"
)
_FUNCTIONS = {
    **{f"\\{name}": name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "ln", "exp")},
    **{f"\\{name}": name for name in ("sinh", "cosh", "tanh")},
    **{f"\\arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
    **dict.fromkeys(("\\log", "\\lg"), "log"),
    "\\Re": "Re",
    "\\Im": "Im",
    "\\cis": "cis",
}
_INVERTED = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
_LETTER = re.compile(
    r"[A-Za-z]|\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|iota|kappa|lambda"
    r"|mu|nu|xi|rho|sigma|tau|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Sigma|Phi|Psi|Omega"
    r"|ell)"
)
_OPAQUE = frozenset("fgh")
_CLOSERS = {"(": ")", "[": "]", "{": "}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}


def parse(text: str) -> Expression:
    """Return the expression that a text states.

    Raises:
      UnreadableError: it states none.
    """
    parser = _Parser(_TOKEN.findall(text))
    if not parser.tokens or text.strip() == "":
        raise UnreadableError
    run = parser.sum()
    if parser.peek():
        raise UnreadableError
    return Expression(run, frozenset(parser.names))


class _Parser:
    """Recursive descent over tokens; each method returns a function of the point."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0
        self.names: set[str] = set()

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *expected: str) -> str:
        token = self.peek()
        if not token or (expected and token not in expected):
            raise UnreadableError
        self.at += 1
        return token

    def sum(self) -> Run:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError
        total = self.product()
        while self.peek() in ("+", "-", "\\pm", "\\mp"):
            total = _added(total, self.sign(), self.product())
        self.depth -= 1
        return total

    def sign(self) -> Run:
        token = self.take()
        if token in ("+", "-"):
            number = Fraction(1 if token == "+" else -1)
            return lambda point: number
        self.names.add(SIGN)
        side = 1 if token == "\\pm" else -1
        return lambda point: side * point[SIGN]

    def product(self, *, is_argument: bool = False) -> Run:
        if self.peek() in ("+", "-", "\\pm", "\\mp"):
            sign, rest = self.sign(), self.product(is_argument=is_argument)
            return lambda point: v.multiply(sign(point), rest(point))
        result = self.power()
        while True:
            token = self.peek()
            if token in ("*", "\\cdot", "\\times") and not is_argument:
                self.take()
                result = _combined(v.multiply, result, self.factor())
            elif token in ("/", "\\div"):
                self.take()
                result = _combined(v.divide, result, self.factor())
            elif self.starts_factor(token) and not (
                is_argument and (token in _FUNCTIONS or token in ("(", "["))
            ):
                if (token[0].isdigit() or token[0] == ".") and self.tokens[self.at - 1] not in "!)":
                    raise UnreadableError  # "1 1" is no product
                result = _combined(v.multiply, result, self.power())
            else:
                return result

    def factor(self) -> Run:
        if self.peek() in ("+", "-", "\\pm", "\\mp"):
            return _combined(v.multiply, self.sign(), self.power())
        return self.power()

    def starts_factor(self, token: str) -> bool:
        if token == "|":
            return self.bars == 0
        return bool(token) and (
            token[0].isdigit()
            or token[0] == "."
            or token in _CLOSERS
            or token in _FUNCTIONS
            or token in ("\\frac", "\\sqrt", "\\binom", "\\pi", "\\infty")
            or _LETTER.fullmatch(token) is not None
        )

    def power(self) -> Run:
        result = self.atom()
        while self.peek() in ("^", "!", "\\degree", "%"):
            token = self.take()
            if token == "^":
                result = _powered(result, self.exponent())
            elif token == "!":
                result = _mapped(v.factorial, result)
            elif token == "%":
                result = _combined(v.multiply, result, lambda point: Fraction(1, 100))
            else:
                result = _combined(
                    v.multiply, result, lambda point: v.divide(v.context().pi + 0, Fraction(180))
                )
        return result

    def exponent(self) -> Run:
        run = self.group()
        return _powered(run, self.exponent()) if self.peek() == "^" and self.take() else run

    def group(self, *, is_digit: bool = False) -> Run:
        r"""Read what TeX takes as one argument; of `\frac12`, one digit."""
        token = self.peek()
        if token in ("+", "-"):
            return _combined(v.multiply, self.sign(), self.group())
        if is_digit and len(token) > 1 and token.isdigit():
            self.tokens[self.at] = token[1:]
            number = Fraction(token[0])
            return lambda point: number
        return self.atom()

    def atom(self) -> Run:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return self.number(token)
        if token in _CLOSERS:
            run = self.sum()
            self.take(_CLOSERS[token])
            if token.startswith("\\l"):
                return _mapped(v.FUNCTIONS[token[2:] if token == "\\lfloor" else "ceil"], run)
            return run
        if token == "|":
            self.bars += 1
            run = self.sum()
            self.take("|")
            self.bars -= 1
            return _mapped(v.FUNCTIONS["abs"], run)
        if token in _FUNCTIONS:
            return self.function(_FUNCTIONS[token])
        return self.command(token)

    def command(self, token: str) -> Run:
        if token == "\\frac":
            return _combined(v.divide, self.group(is_digit=True), self.group(is_digit=True))
        if token == "\\binom":
            return _combined(v.binomial, self.group(is_digit=True), self.group(is_digit=True))
        if token == "\\sqrt":
            degree: Run = lambda point: Fraction(2)  # noqa: E731
            if self.peek() == "[":
                self.take()
                degree = self.sum()
                self.take("]")
            one: Run = lambda point: Fraction(1)  # noqa: E731
            return _powered(self.group(), _combined(v.divide, one, degree))
        if token == "\\pi":
            return lambda point: v.context().pi + 0
        if _LETTER.fullmatch(token):
            return self.letter(token)
        raise UnreadableError

    def letter(self, token: str) -> Run:
        name = token
        if self.peek() == "_":
            self.take()
            name += "_" + self.raw_group()
        while self.peek() == "'":
            name += self.take()
        if name == "i":
            return lambda point: v.context().mpc(0, 1)
        if name == "e":
            return lambda point: v.context().e + 0
        self.names.add(name)
        if token in _OPAQUE and self.peek() == "(":
            argument = self.atom()
            return lambda point: v.apply("sin", v.add(point[name], argument(point)))
        return lambda point: point[name]

    def raw_group(self) -> str:
        token = self.take()
        if token != "{":
            return token
        parts = []
        while self.peek() != "}":
            parts.append(self.take())
        self.take()
        return "".join(parts)

    def number(self, token: str) -> Run:
        value = read_decimal(token)
        if self.peek() == "_":
            self.take()
            value = read_numeral(token, self.raw_group())
        elif token.isdigit():
            value += self.mixed_part()
        return lambda point: value

    def mixed_part(self) -> Fraction:
        r"""Return the proper fraction that follows an integer, as in `1\frac12` and `1 1/2`."""
        rest = " ".join(self.tokens[self.at : self.at + 7])
        match = re.match(
            r"\\frac (?:\{ (\d+) \}|(\d)(?= ?[\d{])) ?(?:\{ (\d+) \}|(\d)(?!\d))", rest
        )
        if match is None:
            match = re.match(r"\\frac (?:(\d)(\d))(?!\d)()()", rest)
        if match is None:
            match = re.match(r"(\d+) / (\d+)(?!\d)()()", rest)
        if match is None:
            return Fraction(0)
        top, bottom = (int(part) for part in match.groups() if part)
        if not 0 < top < bottom:
            return Fraction(0)
        self.at += len(match[0].split())
        return Fraction(top, bottom)

    def function(self, name: str) -> Run:
        base = exponent = None
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                base = self.group(is_digit=True)
            elif " ".join(self.tokens[self.at : self.at + 4]).startswith(("{ - 1 }", "- 1")):
                self.group()
                name = "a" + name if name in _INVERTED else name
            else:
                exponent = self.group()
        run = self.atom() if self.peek() in ("(", "[", "{", "|") else self.product(is_argument=True)
        if name == "log":
            run = _logarithm(run, base or (lambda point: Fraction(10)))
        else:
            run = _applied(name, run)
        return run if exponent is None else _powered(run, exponent)


def _added(left: Run, sign: Run, right: Run) -> Run:
    return lambda point: v.add(left(point), v.multiply(sign(point), right(point)))


def _combined(operation: Callable[[Value, Value], Value], left: Run, right: Run) -> Run:
    return lambda point: operation(left(point), right(point))


def _mapped(operation: Callable[[Value], Value], run: Run) -> Run:
    return lambda point: operation(run(point))


def _powered(base: Run, exponent: Run) -> Run:
    return lambda point: v.power(base(point), exponent(point), is_real=point[STRICT])


def _applied(name: str, run: Run) -> Run:
    return lambda point: v.apply(name, run(point), is_real_only=point[STRICT])


def _logarithm(run: Run, base: Run) -> Run:
    top, bottom = _applied("ln", run), _applied("ln", base)
    return lambda point: v.divide(top(point), bottom(point))
