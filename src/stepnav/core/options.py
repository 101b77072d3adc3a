"""What an option of a strategy may be, said in the signature of its function.

    def beam(tree: Tree, *, beam_size: Count = 4, steps: StepOptions) -> Program: ...

An argument that is a record stands for all its fields, so that options which strategies share are
written once. The command line, `stepnav strategies` and the front door read names, types, defaults
and ranges from there; nothing else lists them.
"""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, partial
from typing import Annotated, Any, Literal, Union

from stepnav.core.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers that an option may be.

    Attributes:
      low, high: the ends.
      has_low: whether `low` itself is allowed.
    """

    low: float = -math.inf
    high: float = math.inf
    has_low: bool = True

    def __contains__(self, value: float) -> bool:
        """Return whether a number is allowed; not-a-number never is."""
        return (self.low <= value if self.has_low else self.low < value) and value <= self.high

    def __str__(self) -> str:
        """Return the range in words."""
        if self.high == math.inf:
            return f"at least {self.low:g}" if self.has_low else f"above {self.low:g}"
        if self.has_low:
            return f"between {self.low:g} and {self.high:g}"
        return f"above {self.low:g} and at most {self.high:g}"


def at_least(low: float) -> Range:
    """Return the numbers from `low` on."""
    return Range(low)


def above(low: float, up_to: float = math.inf) -> Range:
    """Return the numbers above `low`, up to another one."""
    return Range(low, up_to, has_low=False)


def between(low: float, high: float) -> Range:
    """Return the numbers from `low` to `high`."""
    return Range(low, high)


Count = Annotated[int, at_least(1)]
NumTokens = Annotated[int, at_least(0)]
Temperature = Annotated[float, between(0, 100)]
TopP = Annotated[float, above(0, up_to=1)]

GIVEN = frozenset({"tree", "extract", "seed"})
"""Arguments of strategies that are not options."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a strategy.

    Attributes:
      name: as in the signature.
      kind: int, float, str or bool.
      default: where it is not set.
      allowed: the words it may be, None if it is no choice of words.
      range: the numbers it may be, None if nothing is said.
      may_be_none: whether None is allowed.
    """

    name: str
    kind: type
    default: Any
    allowed: tuple[str, ...] | None = None
    range: Range | None = None
    may_be_none: bool = False

    def parse(self, owner: str, text: str) -> Any:
        """Return the value that a text stands for.

        Raises:
          ConfigError: it stands for none that is allowed; `owner` names whose option it is.
        """
        if self.may_be_none and text.lower() == "none":
            return None
        if self.kind is bool:
            if text.lower() not in ("true", "false"):
                raise ConfigError(f"{owner}.{self.name} must be true or false (got {text!r})")
            return text.lower() == "true"
        try:
            value = self.kind(text)
        except ValueError:
            noun = "a whole number" if self.kind is int else "a number"
            raise ConfigError(f"{owner}.{self.name} must be {noun} (got {text!r})") from None
        return self.check(owner, value)

    def check(self, owner: str, value: Any) -> Any:
        """Return a value that is allowed, a whole number as a float where a float is wanted.

        Raises:
          ConfigError: it is not allowed.
        """
        if value is None and self.may_be_none:
            return None
        if getattr(value, "ndim", None) == 0:  # a number of numpy, of torch
            value = value.item()
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        given: Any = value
        if type(value) is not self.kind:
            noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
            raise ConfigError(f"{owner}.{self.name} must be {noun[self.kind]} (got {value!r})")
        if self.kind is float and not math.isfinite(given):
            raise ConfigError(f"{owner}.{self.name} must be a finite number (got {value})")
        if self.allowed is not None and value not in self.allowed:
            raise ConfigError(
                f"{owner}.{self.name} must be one of {', '.join(self.allowed)} (got {value!r})"
                f"{nearest(given, list(self.allowed))}"
            )
        if self.range is not None and given not in self.range:
            raise ConfigError(f"{owner}.{self.name} must be {self.range} (got {value})")
        return value


def options_of(function: Callable[..., Any]) -> Mapping[str, Option]:
    """Return the options that a strategy's function declares, in order.

    Raises:
      ConfigError: an option has no default, or a type that no text can be read as.
    """
    hints = _hints(function)
    found: dict[str, Option] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in GIVEN:
            continue
        if is_dataclass(hints.get(name)):
            declared = options_of(hints[name])
            if parameter.default is not parameter.empty:
                own = parameter.default
                declared = {n: replace(o, default=getattr(own, n)) for n, o in declared.items()}
            found |= declared
            continue
        if parameter.default is parameter.empty:
            owner = getattr(function, "__name__", "the strategy")
            raise ConfigError(f"option {name!r} of {owner} needs a default")
        found[name] = _option(name, hints.get(name, type(parameter.default)), parameter.default)
    return found


@cache
def records_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the arguments of a strategy's function that are records of options."""
    return {name: hint for name, hint in _hints(function).items() if is_dataclass(hint)}


def arguments_of(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that options make, those of a record gathered in it."""
    found = dict(options)
    parameters = inspect.signature(function).parameters
    for name, record in records_of(function).items():
        given = parameters[name].default
        own = {field.name for field in fields(record)} & found.keys()
        found[name] = replace(
            record() if given is inspect.Parameter.empty else given,
            **{option: found.pop(option) for option in own},
        )
    return found


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    function = function.func if isinstance(function, partial) else function
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigError(
            f"the annotations of {function.__name__} cannot be read: {error}"
        ) from None
    return {name: hint for name, hint in hints.items() if name not in {*GIVEN, "return"}}


def _option(name: str, hint: Any, default: Any) -> Option:
    limits, may_be_none = None, False
    while True:
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            hint, limits = inner[0], next((a for a in inner[1:] if isinstance(a, Range)), limits)
        elif origin in (Union, types.UnionType) and len(inner) == 2 and type(None) in inner:
            (hint,) = (kind for kind in inner if kind is not type(None))
            may_be_none = True
        else:
            break
    if origin is Literal:
        return Option(name, str, default, inner, None, may_be_none)
    if hint not in (int, float, str, bool):
        raise ConfigError(
            f"option {name!r} must be annotated as int, float, str, bool, "
            "a Literal of words or one "
            f"of these or None (got {hint!r})"
        )
    return Option(name, hint, default, None, limits, may_be_none)
