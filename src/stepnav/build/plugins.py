"""Objects from outside the package: `FILE.py:NAME` on the command line, and entry points.

An entry point of the group `stepnav.strategies`, `stepnav.tasks`, `stepnav.policies` or
`stepnav.rewards` adds its name to that table; a name of our own wins.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError, nearest, one_line
from stepnav.tasks.task import Task

PluginKind = Literal["strategies", "tasks", "policies", "rewards"]

LOADED: list[str] = []
"""Where code from outside was loaded from."""

_FILE = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)(?P<rest>(?::.*)?)", re.DOTALL)


def split_file(text: str) -> tuple[Path, str, str] | None:
    """Return (file, name, what follows) of `FILE.py:NAME...`; None if it is no such text."""
    match = _FILE.fullmatch(text)
    if match is None:
        return None
    return Path(match["file"]), match["name"], match["rest"].removeprefix(":")


def bare_name(text: str) -> str | None:
    """Return `FILE.py:NAME` without options; None if it is no such text."""
    parts = split_file(text)
    return None if parts is None else f"{parts[0]}:{parts[1]}"


def load_file(path: Path, name: str) -> Any:
    """Return an object that a Python file defines.

    Raises:
      ConfigError: the file is not there, does not import, or defines no such name.
    """
    module = _import_file(path.resolve())
    if not hasattr(module, name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise ConfigError(f"{path} defines no {name!r}{nearest(name, public)}")
    return getattr(module, name)


@cache
def _import_file(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}; give FILE.py:NAME")
    spec = importlib.util.spec_from_file_location(f"stepnav_plugin_{path.stem}", path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    LOADED.append(str(path))
    sys.modules[spec.name] = module  # dataclasses and pickling look there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path} does not import: {one_line(error)}") from error
    return module


def entry_names(kind: PluginKind) -> list[str]:
    """Return the names that installed packages add to a table."""
    return sorted({point.name for point in entry_points(group=f"stepnav.{kind}")})


def load_entry(kind: PluginKind, name: str) -> Any | None:
    """Return the object of an entry point, None if no installed package has one of this name.

    Raises:
      ConfigError: it does not import.
    """
    for point in entry_points(group=f"stepnav.{kind}", name=name):
        LOADED.append(point.value)
        try:
            return point.load()
        except Exception as error:
            raise ConfigError(
                f"the plugin {point.value!r} of {kind} {name!r} does not import: {one_line(error)}"
            ) from error
    return None


def find(kind: PluginKind, text: str) -> Any | None:
    """Return the object named by `FILE.py:NAME` or by an entry point; None if it is neither.

    Raises:
      ConfigError: it is one, and cannot be loaded.
    """
    place = split_file(text)
    if place is None:
        return load_entry(kind, text)
    path, name, rest = place
    if rest:
        raise ConfigError(f"{text!r} must read FILE.py:NAME (got {rest!r} behind it)")
    return load_file(path, name)


def as_policy(found: Any, task: Task | None = None) -> Backend:
    """Return a policy that a function or a backend is.

    Args:
      found: one of them.
      task: says where a function's solutions end; None: it is not asked.
    Raises:
      ConfigError: it is neither.
    """
    from stepnav.policies.function import FunctionPolicy
    from stepnav.policies.splitting import ANSWER_PATTERN

    pattern: str | None = ANSWER_PATTERN
    if task is not None:
        is_free = task.code is not None or not task.splits  # a program or a chat, marks or not
        pattern = None if is_free else task.answer_pattern or ANSWER_PATTERN
    return _as_backend(found, partial(FunctionPolicy, answer_pattern=pattern), "policy")


def as_reward(found: Any) -> Backend:
    """Return a reward model that a function or a backend is.

    Raises:
      ConfigError: it is neither.
    """
    from stepnav.rewards.function import FunctionReward

    return _as_backend(found, FunctionReward, "reward")


def _as_backend(found: Any, wrap: Callable[[Any], Backend], noun: str) -> Backend:
    if is_backend(found):
        return found  # type: ignore[no-any-return]
    if not callable(found):
        raise ConfigError(
            f"a {noun} must be a name, a folder, a URL, a function or a backend (got {found!r:.80})"
        )
    return wrap(found)


def is_backend(found: Any) -> bool:
    """Return whether something answers requests."""
    return all(
        hasattr(found, name) for name in ("submit", "poll", "cancel", "token_bound", "close")
    )


def is_outside(kind: PluginKind, name: str) -> bool:
    """Return whether a name is FILE.py:NAME or that of an installed plugin."""
    return split_file(name) is not None or name in entry_names(kind)
