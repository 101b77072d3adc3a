"""Which versions of TRL the GRPO trainer was tested with; it rests on methods that TRL may move."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from stepnav.core.errors import ConfigError

TESTED = ("1.16",)
"""Whatever follows a version's second number does not matter."""


def require_trl(tested: Sequence[str] = TESTED) -> None:
    """Refuse to begin without TRL, or with a version that was not tested.

    Raises:
      ConfigError: it is missing, or another version.
    """
    try:
        found = version("trl")
    except PackageNotFoundError:
        raise ConfigError("GRPO needs trl: pip install 'stepnav[rl]'") from None
    if ".".join(found.split(".")[:2]) not in tested:
        raise ConfigError(
            f"GRPO was tested with trl {', '.join(tested)} (got {found}); "
            "pip install 'stepnav[rl]' takes one of them"
        )
