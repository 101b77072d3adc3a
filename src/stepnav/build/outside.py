"""Policies and reward models that are somebody's own functions, backends or plug-ins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from stepnav.build.plugins import PluginKind, entry_names, split_file
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError
from stepnav.tasks.task import Task


def as_policy(found: Any, task: Task | None = None) -> Backend:
    """Return a policy that a function or a backend is.

    Args:
      found: one of them.
      task: says where a function's solutions end; None: it is not asked.
    Raises:
      ConfigError: it is neither.
    """
    from stepnav.policies.function import ANSWER_PATTERN, FunctionPolicy

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
