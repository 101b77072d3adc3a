"""API keys: named by an environment variable, and never a command's own words."""

from __future__ import annotations

import os
import re

from stepnav.core.errors import ConfigError


def api_key(option: str, name: str | None, usual: str) -> str | None:
    """Return the key that a variable holds, None if it holds none.

    Args:
      option: how the user names the variable.
      name: the variable, as the user named it.
      usual: the one that is looked at otherwise.
    Raises:
      ConfigError: the user's own holds none.
    """
    if name is not None and not os.environ.get(name, "").strip():
        is_name = re.fullmatch(r"[A-Za-z_]\w*", name) is not None  # else it may be the key itself
        raise ConfigError(
            f"{option} must name an environment variable that holds an API key, and "
            f"{name if is_name else 'this'} {'holds none' if is_name else 'is no such name'}; "
            f"leave the option out to take {usual}"
        )
    return os.environ.get(name or usual, "").strip() or None
