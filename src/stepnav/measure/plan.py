"""What a comparison runs: the plan, and the searches that it comes to.

Everything in a plan is a plain JSON value, so that it can be written down, compared and repeated
(`plan_file.py`). Whether a strategy or task of a name exists is not checked here: only `build.py`
knows them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stepnav.core.errors import ConfigError, nearest, quote
from stepnav.core.strategy import Strategy

DEFAULT_BASELINE = "cot"
NONE_TEXT = "<none>"
"""How TOML, which has no null, holds an option that is None; no option may be this string."""

SHARD = "shard"
"""Setting of a run that is a part of another: "2/8"."""

TUNED_ON = "tuned_on"
"""Setting of a run that measures options on the split that they were tuned on: its name. It is a
remark, and no run is another for it."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+=,:-]*")


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """A comparison of strategies on the same problems, seeds and budgets.

    Attributes:
      task, split: the benchmark and the part of it.
      strategies: what is compared, in the order of the report; at least one, labels unique.
      problems: how many problems; None is all of the split.
      seeds: how often each problem is searched.
      seed: seed of the first repeat; the others count up from it.
      budgets: limits on the policy tokens of one search; None is unlimited.
      policy, reward: names of the models; `reward` is None where no strategy needs one.
      baseline: label to compare with at the same budget, or "LABEL@BUDGET" for one budget; None
        takes "cot" if it is there, and else compares nothing.
      settings: everything else that can change a result (sampling, step limits, data type, ...).
    """

    task: str
    split: str
    strategies: tuple[Strategy, ...]
    problems: int | None = None
    seeds: int = 1
    seed: int = 0
    budgets: tuple[int | None, ...] = (None,)
    policy: str = ""
    reward: str | None = None
    baseline: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "strategies", tuple(map(_plain_strategy, self.strategies)))
        object.__setattr__(self, "budgets", tuple(self.budgets))
        object.__setattr__(self, "settings", plain_value(self.settings, "setting"))
        _check_count("problems", self.problems, or_none=True)
        _check_count("seeds", self.seeds)
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative (got {self.seed})")
        for budget in self.budgets:
            _check_count("a budget", budget, or_none=True)
        _check_distinct("budgets", ["none" if b is None else str(b) for b in self.budgets])
        _check_distinct("strategies", self.labels)
        if self.baseline is not None:
            self.check_baseline(self.baseline)

    def check_baseline(self, baseline: str) -> None:
        """Raise `ConfigError` if these searches hold no such baseline."""
        label, budget = read_baseline(baseline)
        if label not in self.labels:
            raise ConfigError(
                f"the baseline must be one of {', '.join(self.labels)} "
                f"(got {quote(label)}){nearest(label, self.labels)}"
            )
        if budget is not None and budget not in self.budgets:
            budgets = ", ".join(str(budget) for budget in self.budgets if budget is not None)
            raise ConfigError(
                f"the baseline's budget must be one of {budgets or 'none'} (got {budget})"
            )

    @property
    def labels(self) -> list[str]:
        """Labels of the strategies, in order."""
        return [spec.label for spec in self.strategies]

    @property
    def searches_per_problem(self) -> int:
        """How often each problem is searched in all."""
        return len(self.strategies) * len(self.budgets) * self.seeds

    @property
    def baseline_label(self) -> str | None:
        """The label to compare with, None if there is nothing to compare with."""
        if self.baseline is not None:
            return self.baseline
        return DEFAULT_BASELINE if DEFAULT_BASELINE in self.labels else None


def read_baseline(baseline: str) -> tuple[str, int | None]:
    """Return a baseline's label, and the one budget that it is taken at; None for the same.

    Example:
      >>> read_baseline("nav@250"), read_baseline("nav")
      (('nav', 250), ('nav', None))
    """
    label, _, budget = baseline.rpartition("@")
    return (label, int(budget)) if label and budget.isdecimal() else (baseline, None)


@dataclass(frozen=True, slots=True)
class Cell:
    """One search of a plan.

    Attributes:
      search_id: unique within the plan, and the same whenever the plan is the same.
      strategy: with those options that do not depend on the budget.
      budget: limit on its policy tokens, None for no limit.
      problem_id: the problem.
      repeat: 0 to `seeds` - 1.
      seed: the search's seed, `BenchPlan.seed` + `repeat`.
    """

    search_id: str
    strategy: Strategy
    budget: int | None
    problem_id: str
    repeat: int
    seed: int

    @property
    def label(self) -> str:
        """What it is a search of, for people."""
        label = self.strategy.label
        return label if self.budget is None else f"{label} {self.budget}"


def cells(plan: BenchPlan, problem_ids: Sequence[str]) -> list[Cell]:
    """Return every search of the plan: by budget, then strategy, then repeat, then problem.

    Searches of one strategy and budget stand together, so that their wall time can be measured.

    Args:
      plan: the comparison.
      problem_ids: ids of the problems, in the task's order.
    Raises:
      ConfigError: an id comes twice, or there are not as many as the plan says.
    """
    if plan.problems is not None and len(problem_ids) != plan.problems:
        raise ConfigError(
            f"the plan wants {plan.problems} problems of {plan.task}/{plan.split}, "
            f"there are {len(problem_ids)}; lower --problems"
        )
    _check_distinct("problem ids", problem_ids)
    return [
        Cell(
            search_id=search_id(spec.label, budget, repeat, problem_id),
            strategy=spec,
            budget=budget,
            problem_id=problem_id,
            repeat=repeat,
            seed=plan.seed + repeat,
        )
        for budget in plan.budgets
        for spec in plan.strategies
        for repeat in range(plan.seeds)
        for problem_id in problem_ids
    ]


def search_id(label: str, budget: int | None, repeat: int, problem_id: str) -> str:
    """Return the name of a search, for instance `hgs/500/0/arithmetic-test-17`."""
    return f"{label}/{'unlimited' if budget is None else budget}/{repeat}/{problem_id}"


def problem_of(search_id: str) -> str:
    """Return the problem in the name of a search; labels hold no slash."""
    return search_id.split("/", 3)[-1]


def plain_value(value: Any, what: str) -> Any:
    """Return a copy of a JSON value in which every sequence is a list.

    Raises:
      ConfigError: there is something else in it, or a number that is not finite.
    """
    if isinstance(value, Mapping):
        return {_plain_key(key, what): plain_value(item, what) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item, what) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and value != NONE_TEXT:
        return value
    raise ConfigError(
        f"each {what} must be text, a finite number, true, false, none, a list or a table "
        f"(got {quote(str(value))} of type {type(value).__name__})"
    )


def _plain_strategy(strategy: Strategy) -> Strategy:
    """Return a strategy whose label and options can be written down."""
    if not _LABEL.fullmatch(strategy.label):
        raise ConfigError(
            f"a strategy's label must be letters, digits and _.+=,:- (got {quote(strategy.label)})"
            "; stepnav.Strategy(NAME, function=...) gives it another"
        )
    what = f"option of {strategy.label}"
    by_budget = {
        budget: plain_value(options, what) for budget, options in strategy.by_budget.items()
    }
    return replace(strategy, options=plain_value(strategy.options, what), by_budget=by_budget)


def _plain_key(key: Any, what: str) -> str:
    """Return the key of a table, which must be text."""
    if not isinstance(key, str):
        raise ConfigError(f"the name of each {what} must be text (got {key!r})")
    return key


def _check_count(name: str, value: int | None, *, or_none: bool = False) -> None:
    """Check that a count is a whole number of at least 1."""
    if value is None and or_none:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1 (got {value!r})")


def _check_distinct(what: str, names: Sequence[str]) -> None:
    """Check that there is at least one name and that none comes twice."""
    if not names:
        raise ConfigError(f"{what} must not be empty; name at least one")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{what} must differ from each other (got {quote(name)} twice)")
        seen.add(name)
