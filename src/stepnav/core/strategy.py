"""A strategy with its options: one record from the command line to the journal."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import FunctionType
from typing import Any

from stepnav.core.errors import ConfigError, nearest
from stepnav.core.options import Option, arguments_of, options_of
from stepnav.core.requests import POLICY, REWARD, Program
from stepnav.core.tree import Tree

RESERVE_SHARE = 0.25
"""Share of a limited policy-token budget that step searches keep back for their fallback."""

UNTIL_SPENT = ("samples", "num_subtrees", "num_solutions")
"""Options that count solutions; under a limited budget they are None: draw until it is spent."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """What makes search programs.

    Attributes:
      name: with the problem and the seed it derives all request seeds.
      options: those that were set; plain JSON values.
      label: its name in reports; the same strategy may stand in a comparison under several labels
        with different options. Empty is `name`.
      function: a generator function that takes the tree, its options as keywords and, if it asks
        for them, `extract` and `seed`; None in one that was read from a file and can only be
        reported.
      models: names of the models that it asks.
      unscored: (option, value) with which it asks for no scores, so that it needs no reward model.
      renamed: options of earlier versions and what they are called now.
      by_budget: options that go before `options` under a budget of so many policy tokens.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    function: Callable[..., Program] | None = None
    models: tuple[str, ...] = (POLICY,)
    unscored: frozenset[tuple[str, str]] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    by_budget: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)
        call = getattr(type(self.function), "__call__", None)  # noqa: B004
        if isinstance(call, FunctionType):  # an object: its method tells the options
            object.__setattr__(self, "function", call.__get__(self.function))
        if self.unscored & self.options.items():
            models = tuple(model for model in self.models if model != REWARD)
            object.__setattr__(self, "models", models)

    @property
    def known_options(self) -> Mapping[str, Option]:
        """The options that its function declares."""
        assert self.function is not None, "a strategy from a file does not know its options"
        return _known_options(self.function)

    def __call__(self, **options: Any) -> Strategy:
        """Return the strategy with options set, for instance `hgs(branching=16)`.

        Raises:
          ConfigError: there is no such option, or a value is not allowed.
        """
        checked = {name: self._option(name).check(self.name, v) for name, v in options.items()}
        if not checked:
            return self
        settings = ":".join(f"{name}={value}" for name, value in checked.items())
        return replace(self, options={**self.options, **checked}, label=f"{self.label}:{settings}")

    def with_texts(self, settings: Mapping[str, str], label: str = "") -> Strategy:
        """Return the strategy with options set from text, as on the command line.

        Raises:
          ConfigError: there is no such option, or a text stands for no value that is allowed.
        """
        parsed = {
            name: self._option(name).parse(self.name, text) for name, text in settings.items()
        }
        return replace(self, options={**self.options, **parsed}, label=label or self.label)

    def for_budget(
        self, policy_tokens: int | None, *, temperature: float | None = None
    ) -> Strategy:
        """Return the strategy with every option resolved for one budget.

        Under a limited budget, sampling strategies draw until it is spent, step searches keep
        `RESERVE_SHARE` of it for their fallback, and those that plan are told it, unless these
        options are set.

        Args:
          policy_tokens: limit on the policy tokens, None for no limit.
          temperature: the task's own default for strategies that sample, None for theirs.
        """
        resolved = {name: option.default for name, option in self.known_options.items()}
        if policy_tokens is not None:
            resolved.update((name, None) for name in UNTIL_SPENT if name in resolved)
            if "reserve_tokens" in resolved:
                resolved["reserve_tokens"] = int(RESERVE_SHARE * policy_tokens)
            if "budget_tokens" in resolved:
                resolved["budget_tokens"] = policy_tokens
        if temperature is not None and resolved.get("temperature", 0) != 0:  # else greedy
            resolved["temperature"] = temperature
        own = {} if policy_tokens is None else self.by_budget.get(policy_tokens, {})
        return replace(self, options={**resolved, **self.options, **own}, by_budget={})

    def for_plan(
        self, budgets: Sequence[int | None], *, temperature: float | None = None
    ) -> Strategy:
        """Return the strategy with every option that does not depend on which budget it is.

        Those of `by_budget` stay apart.

        Args:
          budgets: limits on the policy tokens, at least one.
          temperature: as of `for_budget`.
        """
        found = replace(self, by_budget={}).for_budget(budgets[0], temperature=temperature)
        own = {"reserve_tokens", "budget_tokens"}
        if len({limit is None for limit in budgets}) > 1:
            own |= set(UNTIL_SPENT)
        options = {k: v for k, v in found.options.items() if k in self.options or k not in own}
        return replace(found, options=options, by_budget=self.by_budget)

    def start(self, tree: Tree, extract: Callable[[str], str | None], seed: int) -> Program:
        """Return a program that searches in a tree.

        Args:
          tree: holds the problem.
          extract: finds a solution's answer.
          seed: of the choices that the strategy itself makes by chance.
        """
        assert self.function is not None, "a strategy from a file cannot be started"
        asked = _arguments(self.function)
        given = {"extract": extract, "seed": seed}
        options = arguments_of(self.function, self.options)
        return self.function(tree, **{k: given[k] for k in given if k in asked}, **options)

    def _option(self, name: str) -> Option:
        if name in self.renamed:
            raise ConfigError(f"{self.name} calls option {name!r} {self.renamed[name]!r} now")
        known = self.known_options
        if name not in known:
            raise ConfigError(
                f"{self.name} has no option {name!r}{nearest(name, list(known))}; "
                f"its options are {', '.join(known)}"
            )
        return known[name]


@cache
def _known_options(function: Callable[..., Any]) -> Mapping[str, Option]:
    return options_of(function)


@cache
def _arguments(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)
