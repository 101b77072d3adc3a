"""Strategies by name.

A row is a module that holds a generator function of the row's name, and the models besides the
policy that it asks. Options, their ranges and defaults stand in the function's signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from stepnav.build.grid import PUBLISHED
from stepnav.build.plugins import entry_names, load_entry, load_file, split_file
from stepnav.core.errors import ConfigError, nearest
from stepnav.core.options import options_of
from stepnav.core.requests import POLICY, REWARD
from stepnav.core.strategy import Strategy


@dataclass(frozen=True, slots=True)
class _Row:
    module: str
    models: tuple[str, ...] = (POLICY,)
    unscored: frozenset[tuple[str, str]] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)


_SCORED = (POLICY, REWARD)
_BY_POLICY = frozenset(("evaluation", value) for value in ("likelihood", "rating", "value", "vote"))

STRATEGIES: Mapping[str, _Row] = {
    "cot": _Row("stepnav.search.cot"),
    "self_consistency": _Row("stepnav.search.self_consistency"),
    "best_of_n": _Row("stepnav.search.best_of_n", _SCORED),
    "weighted_vote": _Row("stepnav.search.weighted_vote", _SCORED),
    "beam": _Row("stepnav.search.beam", _SCORED),
    "dvts": _Row("stepnav.search.dvts", _SCORED),
    "rebase": _Row("stepnav.search.rebase", _SCORED),
    "nav": _Row("stepnav.search.nav", _SCORED),
    "particle": _Row("stepnav.search.particle", _SCORED),
    "vgb": _Row("stepnav.search.vgb", _SCORED),
    "pool": _Row("stepnav.search.pool", _SCORED),
    "tot": _Row("stepnav.search.tot", _SCORED, _BY_POLICY),
    "rap": _Row("stepnav.search.rap", _SCORED, _BY_POLICY),
    "astar": _Row("stepnav.search.astar", _SCORED),
    "ab_mcts": _Row("stepnav.search.ab_mcts", _SCORED),
    "hgs": _Row(
        "stepnav.search.hgs", _SCORED, renamed={"children": "branching", "iterations": "max_draws"}
    ),
}


def strategy(name: str) -> Strategy:
    """Return the strategy of a name, with no option set.

    Raises:
      ConfigError: there is no such strategy.
    """
    if name not in STRATEGIES:
        outside = load_entry("strategies", name)
        if outside is not None:
            return as_strategy(name, outside)
        known = [*STRATEGIES, *entry_names("strategies")]
        raise ConfigError(
            f"no strategy is called {name!r}{nearest(name, known)}; there are: {', '.join(known)}, "
            "and FILE.py:FUNCTION"
        )
    row = STRATEGIES[name]
    function = getattr(import_module(row.module), name)
    return Strategy(
        name, function=function, models=row.models, unscored=row.unscored, renamed=row.renamed
    )


def parse_strategy(text: str) -> Strategy:
    """Return the strategy named by `NAME` or `NAME:OPTION=VALUE:OPTION=VALUE`.

    NAME may be `FILE.py:FUNCTION` too; `NAME:published` stands for the paper's own options, and
    others may follow.

    Raises:
      ConfigError: an unknown strategy or option, or a value of the wrong type.
    Example:
      >>> parse_strategy("hgs:branching=4").options
      {'branching': 4}
    """
    place = split_file(text.strip())
    if place is None:
        name, *settings = text.strip().split(":")
        chosen = strategy(name)
    else:
        path, name, rest = place
        settings = rest.split(":") if rest else []
        chosen = as_strategy(name, load_file(path, name))
    label = ":".join([name, *settings])
    published: dict[str, str] = {}
    if settings[:1] == ["published"]:
        published = _published(name)
        del settings[0]
    found: dict[str, str] = {}
    for setting in settings:
        option, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"{setting!r} in {text!r} must read OPTION=VALUE")
        if option in found:
            raise ConfigError(f"{text!r} sets {option!r} twice")
        found[option] = value
    return chosen.with_texts({**published, **found}, label)


def _published(name: str) -> dict[str, str]:
    """Return the options of a strategy as published."""
    if name not in PUBLISHED:
        raise ConfigError(
            f"{name} knows no options as published other than its defaults; those that do: "
            f"{', '.join(PUBLISHED)}"
        )
    return dict(setting.split("=") for setting in PUBLISHED[name].split(":"))


def as_strategy(name: str, found: Any) -> Strategy:
    """Return the strategy that something is: a `Strategy`, or a function that may ask for scores.

    Raises:
      ConfigError: it is neither, or its options cannot be read.
    """
    if isinstance(found, Strategy):
        return found
    if not callable(found):
        raise ConfigError(
            f"the strategy {name} must be a generator function or a Strategy (got {found!r:.80})"
        )
    made = Strategy(name, function=found, models=_SCORED)
    options_of(made.function or found)
    return made
