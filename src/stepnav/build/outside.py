"""Policies and reward models that are somebody's own functions, backends or plug-ins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stepnav.build.plugins import PluginKind, entry_names, split_file
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError


def as_policy(found: Any) -> Backend:
    """Return a policy that a function or a backend is.

    Raises:
      ConfigError: it is neither.
    """
    from stepnav.policies.function import FunctionPolicy

    return _as_backend(found, FunctionPolicy, "policy")


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
