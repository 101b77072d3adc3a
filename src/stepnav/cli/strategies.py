"""`stepnav strategies`: what searches there are, and what each can be told."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from stepnav import build
from stepnav.build.plugins import bare_name, entry_names
from stepnav.cli.console import print_json, say
from stepnav.cli.options.shared import AsJson
from stepnav.core.errors import ConfigError
from stepnav.core.options import Option, records_of
from stepnav.core.strategy import Strategy

KINDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}

_ARGUMENT = re.compile(r"^  (?P<names>\w+(?:, \w+)*): (?P<text>.*(?:\n    .*)*)", re.MULTILINE)
"""An entry below "Args:" in a docstring."""


def run(
    *,
    name: Annotated[
        str | None, typer.Argument(help="One strategy; FILE.py:FUNCTION too. [default: all]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the strategies, or the options of one: types, defaults, ranges, and the paper.

    Examples:

      stepnav strategies

      stepnav strategies hgs
    """
    if name is not None:
        chosen = build.parse_strategy(name)
        print_json(_record(chosen)) if as_json else _print(chosen, bare_name(name) or chosen.name)
        return
    lines = {known: _line(known) for known in [*build.STRATEGIES, *entry_names("strategies")]}
    if as_json:
        print_json(lines)
        return
    width = max(map(len, lines))
    for known, line in lines.items():
        say(f"{known:<{width}}  {line}")


def _line(name: str) -> str:
    """Return what a strategy is, in a line; of a plugin that is broken, why it cannot be used."""
    try:
        return _about(build.strategy(name))[0]
    except ConfigError as error:
        return f"cannot be used: {error}"


def _record(strategy: Strategy) -> dict[str, Any]:
    """Return what is known of a strategy."""
    line, source = _about(strategy)
    texts = _argument_texts(strategy)
    options = {
        name: {
            "type": option.kind.__name__,
            "default": option.default,
            "may_be_none": option.may_be_none,
            "range": None if option.range is None else str(option.range),
            "choices": option.allowed,
            "help": texts.get(name),
        }
        for name, option in strategy.known_options.items()
    }
    models = list(strategy.models)
    return {
        "name": strategy.name,
        "about": line,
        "source": source,
        "models": models,
        "options": options,
    }


def _print(strategy: Strategy, name: str) -> None:
    line, source = _about(strategy)
    texts = _argument_texts(strategy)
    say(f"{strategy.name}: {line}\n")
    if source:
        say(source + "\n")
    say(f"Asks: {', '.join(strategy.models)}. Options, as in {name}:NAME=VALUE:")
    for name, option in strategy.known_options.items():
        default = "none" if option.default is None else str(option.default).lower()
        say(f"\n  {name}  {_values(option)} [default: {default}]")
        if name in texts:
            say(f"      {texts[name]}")


def _values(option: Option) -> str:
    """Return in words what an option may be."""
    words = KINDS[option.kind] if option.allowed is None else " or ".join(option.allowed)
    if option.range is not None:
        words += f" {option.range}"
    return words + (" or none" if option.may_be_none else "")


def _about(strategy: Strategy) -> tuple[str, str]:
    """Return the first line of what its author says of a strategy, and the rest: the paper."""
    function: Callable[..., Any] | None = strategy.function
    assert function is not None, "a strategy that was looked up has a function"
    module = sys.modules.get(function.__module__)
    text = inspect.getdoc(module) or inspect.getdoc(function) or "(not described)"
    line, _, rest = text.partition("\n")
    return line, rest.strip()


def _argument_texts(strategy: Strategy) -> dict[str, str]:
    """Return what docstrings say of each option: those of its records, and its own."""
    assert strategy.function is not None, "a strategy that was looked up has a function"
    records = [(record, "Attributes:\n") for record in records_of(strategy.function).values()]
    return {
        name: " ".join(entry["text"].split())
        for place, heading in [*records, (strategy.function, "Args:\n")]
        for entry in _ARGUMENT.finditer((inspect.getdoc(place) or "").partition(heading)[2])
        for name in entry["names"].split(", ")
    }
