"""Arithmetic on the values of expressions: exact for rationals, else with 60 digits.

A value is a `Fraction`, or an mpmath number once a root, pi or a transcendental function is met.
Every operation is bounded, so no answer can make a comparison slow: what grows beyond `MAX_BITS` is
`TooBigError`. mpmath is imported when first needed; it comes with the extra `math`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from stepnav.core.errors import ConfigError

Value = Any  # Fraction, or mpf or mpc of `context()`, which has no types

DIGITS = 60
MAX_BITS = 20_000
"""Of a numerator, a denominator or an exponent of two."""

MAX_COUNT = 2_000
"""Largest argument of a factorial and of a binomial coefficient."""

NEEDS_MATH = "comparing these answers needs mpmath and math-verify: pip install 'stepnav[math]'"


class OutsideError(Exception):
    """The expression has no value here: division by zero, or a root outside its real domain."""


class TooBigError(Exception):
    """The value is too big to be worked out."""


@lru_cache(maxsize=1)
def context() -> Any:
    """Return the mpmath context of all values.

    Raises:
      ConfigError: mpmath is not installed.
    """
    try:
        import mpmath
    except ImportError:
        raise ConfigError(NEEDS_MATH) from None
    own = mpmath.MPContext()
    own.dps = DIGITS
    return own


def real(value: Value) -> Any:
    """Return a value as an mpmath number."""
    if isinstance(value, Fraction):
        return context().mpf(value.numerator) / value.denominator
    return value


def bounded(value: Value) -> Value:
    """Return the value, rounded if its exact form is long.

    Raises:
      TooBigError: its magnitude exceeds `MAX_BITS`.
    """
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) <= MAX_BITS:
            return value
        value = real(value)
    if not context().isfinite(value):
        raise OutsideError
    if value and abs(context().mag(value)) > 2 * MAX_BITS:
        raise TooBigError
    return value


def add(left: Value, right: Value) -> Value:
    """Return left + right."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return bounded(left + right)
    return bounded(real(left) + real(right))


def multiply(left: Value, right: Value) -> Value:
    """Return left * right."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return bounded(left * right)
    return bounded(real(left) * real(right))


def divide(left: Value, right: Value) -> Value:
    """Return left / right."""
    if is_zero(right):
        raise OutsideError
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return bounded(left / right)
    return bounded(real(left) / real(right))


def power(base: Value, exponent: Value, *, is_real: bool = False) -> Value:
    """Return base ** exponent; odd roots of negative numbers are the real ones.

    Args:
      base: the base.
      exponent: the exponent.
      is_real: whether other roots of negative numbers are outside the domain.
    """
    if is_zero(base):
        if is_zero(exponent) or real(exponent).real < 0:
            raise OutsideError
        return Fraction(0)
    if not isinstance(exponent, Fraction):
        whole = exponent.real
        if is_negative(base) and is_real:
            raise OutsideError
        return _float_power(base, exponent, whole)
    if exponent.denominator == 1:
        if isinstance(base, Fraction):
            size = max(base.numerator.bit_length(), base.denominator.bit_length())
            if size * abs(exponent) <= MAX_BITS:
                return base**exponent.numerator
        return _float_power(base, exponent.numerator, exponent.numerator)
    if is_negative(base):
        if exponent.denominator % 2:
            size = power(multiply(Fraction(-1), base), exponent)
            return multiply(Fraction(-1), size) if exponent.numerator % 2 else size
        if is_real:
            raise OutsideError
    return _float_power(base, real(exponent), exponent)


def _float_power(base: Value, exponent: Any, size: Any) -> Value:
    ctx = context()
    number = real(base)
    if abs(size) * (abs(ctx.mag(number)) + 1) > 4 * MAX_BITS:
        raise TooBigError
    return bounded(ctx.power(number, exponent))


def is_negative(value: Value) -> bool:
    """Return whether a value is a negative real number."""
    if isinstance(value, Fraction):
        return value < 0
    return not value.imag and bool(value.real < 0)


def is_zero(value: Value) -> bool:
    """Return whether a value is zero up to rounding."""
    if isinstance(value, Fraction):
        return value == 0
    return bool(abs(value) < context().mpf(10) ** -40)


def is_real(value: Value) -> bool:
    """Return whether a value has no imaginary part, up to rounding."""
    return isinstance(value, Fraction) or is_zero(context().mpc(value).imag)


def same(left: Value, right: Value) -> bool:
    """Return whether two values are equal: exactly for rationals, else to 35 digits."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    ctx = context()
    left, right = real(left), real(right)
    bound = max(abs(left), abs(right)) * ctx.mpf(10) ** -35
    return bool(abs(left - right) <= max(bound, ctx.mpf(10) ** -45))


def floor(value: Value) -> Fraction:
    """Return the greatest integer that is not above a real value."""
    if isinstance(value, Fraction):
        return Fraction(math.floor(value))
    nearest = context().nint(value.real)
    if same(value, nearest):
        return Fraction(int(nearest))
    return Fraction(int(context().floor(value.real)))


def factorial(value: Value) -> Value:
    """Return the factorial; of a number that is no natural one by the gamma function."""
    _check_count(value)
    if isinstance(value, Fraction) and value.denominator == 1:
        if value < 0:
            raise OutsideError
        return bounded(Fraction(math.factorial(value.numerator)))
    return bounded(context().factorial(real(value)))


def binomial(n: Value, k: Value) -> Value:
    """Return n over k."""
    _check_count(n)
    _check_count(k)
    if all(isinstance(v, Fraction) and v.denominator == 1 and v >= 0 for v in (n, k)):
        return bounded(Fraction(math.comb(n.numerator, k.numerator)))
    return bounded(context().binomial(real(n), real(k)))


def _check_count(value: Value) -> None:
    if abs(real(value)) > MAX_COUNT:
        raise TooBigError


def _unary(name: str) -> Callable[[Value], Value]:
    return lambda value: getattr(context(), name)(real(value))


def _reciprocal(name: str) -> Callable[[Value], Value]:
    return lambda value: divide(Fraction(1), getattr(context(), name)(real(value)))


def _exp(value: Value) -> Value:
    if abs(real(value)) > MAX_BITS:
        raise TooBigError
    return context().exp(real(value))


def _absolute(value: Value) -> Value:
    return abs(value)


FUNCTIONS: dict[str, Callable[[Value], Value]] = {
    **{name: _unary(name) for name in ("sin", "cos", "sinh", "cosh", "tanh", "ln")},
    **{"a" + name: _unary("a" + name) for name in ("sin", "cos", "tan", "sec", "csc", "cot")},
    "tan": lambda value: divide(context().sin(real(value)), context().cos(real(value))),
    "cot": lambda value: divide(context().cos(real(value)), context().sin(real(value))),
    "sec": _reciprocal("cos"),
    "csc": _reciprocal("sin"),
    "exp": _exp,
    "abs": _absolute,
    "Re": lambda value: context().re(real(value)),
    "Im": lambda value: context().im(real(value)),
    "cis": lambda value: context().expj(real(value)),
    "floor": floor,
    "ceil": lambda value: -floor(multiply(Fraction(-1), value)),
}
"""By name. `log` and roots are not here, since they take a base."""


def apply(name: str, value: Value, *, is_real_only: bool = False) -> Value:
    """Return a function's value.

    Args:
      name: a key of `FUNCTIONS`.
      value: the argument.
      is_real_only: whether a real argument with a complex value is outside the domain.
    """
    if name == "ln" and is_zero(value):
        raise OutsideError
    result = bounded(FUNCTIONS[name](value))
    if is_real_only and is_real(value) and not is_real(result) and name != "cis":
        raise OutsideError
    return result


def is_less(left: Value, right: Value) -> bool:
    """Return whether one real value, which may be an infinite float, is below another."""
    if isinstance(left, float) or isinstance(right, float):
        low = left if isinstance(left, float) else 0.0
        high = right if isinstance(right, float) else 0.0
        return low < high
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left < right
    return not same(left, right) and bool(real(left).real < real(right).real)
