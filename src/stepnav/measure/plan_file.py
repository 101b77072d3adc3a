"""A plan as `run.toml`, its digest, and what differs between two plans.

TOML has no null: an option that is None is written as `"<none>"`, an unlimited budget as
`"unlimited"`, and a setting of the plan itself that is None is left out.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, DataError, nearest, quote
from stepnav.core.records import Problem
from stepnav.core.strategy import Strategy
from stepnav.files.atomic import write_bytes
from stepnav.measure.plan import NONE_TEXT, TUNED_ON, BenchPlan

FILE_NAME = "run.toml"
FORMAT = 1
"""Version of the file; a newer one is refused."""

_UNLIMITED = "unlimited"
_HEADER = "# The resolved configuration of this run; stepnav writes it, and --resume checks it.\n\n"
_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "task": str,
    "split": str,
    "problems": int,
    "seeds": int,
    "seed": int,
    "budgets": list,
    "policy": str,
    "reward": str,
    "baseline": str,
    "settings": dict,
    "strategies": list,
}
_REQUIRED = ("task", "split", "strategies")


def write_plan(plan: BenchPlan, run_folder: Path) -> Path:
    """Write the plan to `run.toml` in the run folder, and return the file's path.

    Raises:
      ConfigError: it names a file that UTF-8, and so TOML, cannot write.
    """
    import tomli_w

    path, text = run_folder / FILE_NAME, _HEADER + tomli_w.dumps(_to_toml(plan))
    try:
        write_bytes(path, text.encode())
    except UnicodeEncodeError as error:
        line = text[text.rfind("\n", 0, error.start) + 1 :].partition("\n")[0]
        raise ConfigError(
            f"{FILE_NAME} cannot hold a name whose bytes are not UTF-8 ({line!a:.200}); rename it"
        ) from None
    return path


def read_plan(run_folder: Path) -> BenchPlan:
    """Return the plan of a run folder.

    Raises:
      DataError: there is none, or it is not a plan.
      ConfigError: it holds a wrong value.
    """
    path = run_folder / FILE_NAME
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{run_folder} is not a run folder: it has no {FILE_NAME}; stepnav bench makes one"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # broken TOML, or not UTF-8
        raise DataError(f"{path} is broken: {error}") from error
    if table.pop("format", None) != FORMAT:
        raise DataError(f"{path} is not in format {FORMAT}; another version of stepnav wrote it")
    _check_table(table, path)
    try:
        return _from_toml(table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def problems_digest(problems: Sequence[Problem]) -> str:
    """Return what changes with the problems' texts, so that a run is never mixed from two files."""
    text = json.dumps([[p.id, p.question, p.answer] for p in problems])
    return blake2b(text.encode(), digest_size=8).hexdigest()


def plan_digest(plan: BenchPlan) -> str:
    """Return 16 hexadecimal digits that change with every setting that can change a result.

    The baseline is left out: a finished run may be reported against another one. So are the
    difference between 1 and 1.0, and the remark on what the options were tuned on.
    """
    text = json.dumps(_comparable(plan), sort_keys=True, ensure_ascii=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def differences(made: BenchPlan, now: BenchPlan) -> tuple[str, str] | None:
    """Return the settings that differ, as the one and as the other plan has them."""
    old, new = _flat(_comparable(made)), _flat(_comparable(now))
    names = [name for name in {**old, **new} if _exact(old, name) != _exact(new, name)]
    if not names:
        return None
    before, after = [], []
    for name in names:
        pair = [_short(values[name]) if name in values else "unset" for values in (old, new)]
        if pair[0] == pair[1]:  # "1" and 1 look the same
            pair = [_exact(old, name), _exact(new, name)]
        before.append(f"{name}={pair[0]}")
        after.append(f"{name}={pair[1]}")
    return ", ".join(before), ", ".join(after)


def check_same(made: BenchPlan, now: BenchPlan, run: str) -> None:
    """Refuse to go on with a run that was made with other settings.

    Args:
      made: the plan that the run folder was made with.
      now: the plan that was asked for.
      run: how to name the run folder.
    Raises:
      ConfigError: they differ; the message names the settings.
    """
    if found := differences(made, now):
        raise ConfigError(
            f"the run folder {run} was made with {found[0]}, now {found[1]}; "
            "use another --out or the same settings"
        )


def plan_object(plan: BenchPlan) -> dict[str, Any]:
    """Return the plan as plain JSON values, None included."""
    return {
        **{key: getattr(plan, key) for key in _KEYS},
        "budgets": list(plan.budgets),
        "strategies": [_strategy_object(strategy) for strategy in plan.strategies],
    }


def _strategy_object(strategy: Strategy) -> dict[str, Any]:
    """Return a strategy as plain JSON values; without `by_budget` where that says nothing."""
    values = {"name": strategy.name, "label": strategy.label, "options": strategy.options}
    own = {str(budget): options for budget, options in strategy.by_budget.items() if options}
    return {**values, "by_budget": own} if own else values


def _strategy_from(values: Mapping[str, Any]) -> Strategy:
    own = {int(budget): options for budget, options in values.get("by_budget", {}).items()}
    return Strategy(**{**values, "by_budget": own})


def _to_toml(plan: BenchPlan) -> dict[str, Any]:
    """Return the plan as TOML values."""
    table = {key: value for key, value in plan_object(plan).items() if value is not None}
    table["budgets"] = [_UNLIMITED if budget is None else budget for budget in plan.budgets]
    return {"format": FORMAT, **_mapped(table, lambda leaf: NONE_TEXT if leaf is None else leaf)}


def _from_toml(table: dict[str, Any]) -> BenchPlan:
    """Return the plan that checked TOML values stand for."""
    values = _mapped(table, lambda leaf: None if leaf == NONE_TEXT else leaf)
    if "budgets" in values:
        values["budgets"] = tuple(None if b == _UNLIMITED else b for b in values["budgets"])
    values["strategies"] = tuple(map(_strategy_from, values["strategies"]))
    return BenchPlan(**values)


def _check_table(table: Mapping[str, Any], path: Path) -> None:
    """Check keys and types, so that a hand-edited file gives a clear message."""
    for key, value in table.items():
        if key not in _KEYS:
            raise DataError(f"{path}: unknown setting {quote(key)}{nearest(key, list(_KEYS))}")
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            raise DataError(f"{path}: {key} has the wrong type (got {quote(str(value))})")
    for key in _REQUIRED:
        if key not in table:
            raise DataError(f"{path}: {key} is missing")
    for spec in table["strategies"]:
        if not isinstance(spec, dict) or set(spec) - {"name", "label", "options", "by_budget"}:
            raise DataError(
                f"{path}: a strategy has name, label, options and by_budget (got {spec!r})"
            )
        if not isinstance(spec.get("name"), str) or not isinstance(spec.get("options", {}), dict):
            raise DataError(f"{path}: a strategy needs a name and a table of options")
        if not isinstance(spec.get("label", ""), str):
            raise DataError(f"{path}: a strategy's label must be text")
        own = spec.get("by_budget", {})
        if not isinstance(own, dict) or not all(map(str.isdecimal, own)):
            raise DataError(f"{path}: a strategy's by_budget must be a table of budgets")


def _mapped(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """Return a value with what a function makes of each leaf, at any depth."""
    if isinstance(value, dict):
        return {key: _mapped(item, leaf) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, leaf) for item in value]
    return leaf(value)


def _comparable(plan: BenchPlan) -> dict[str, Any]:
    """Return what two equal runs have in common, with whole floats as integers."""
    values = plan_object(plan)
    del values["baseline"]
    values["settings"] = {key: item for key, item in plan.settings.items() if key != TUNED_ON}
    whole: dict[str, Any] = _mapped(
        values, lambda leaf: int(leaf) if isinstance(leaf, float) and leaf.is_integer() else leaf
    )
    return whole


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return setting -> value, one entry per option and setting."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key == "strategies":
            flat[key] = [spec["label"] for spec in value]
            for spec in value:
                if spec["name"] != spec["label"]:
                    flat[f"{spec['label']}.strategy"] = spec["name"]
                for option, choice in spec["options"].items():
                    flat[f"{spec['label']}.{option}"] = choice
                for budget, options in spec.get("by_budget", {}).items():
                    for option, choice in options.items():
                        flat[f"{spec['label']}@{budget}.{option}"] = choice
        elif key == "settings":
            for option, choice in value.items():
                flat[f"settings.{option}" if option in values else option] = choice
        else:
            flat[key] = value
    return flat


def _exact(values: Mapping[str, Any], name: str) -> str:
    """Return a value in a form in which only equal values are equal; empty if it is not set."""
    return json.dumps(values[name], sort_keys=True) if name in values else ""


def _short(value: Any) -> str:
    """Return a value as it is written on the command line, as nearly as can be."""
    if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
        return ",".join(_short(item) for item in value)
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
