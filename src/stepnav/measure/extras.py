"""Libraries of the extra `bench`, imported where they are needed and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stepnav.core.errors import ConfigError

BENCH_LIBRARIES = ("numpy", "scipy", "matplotlib", "pyarrow")


def load(name: str) -> Any:
    """Return an imported module of the extra `bench`.

    Raises:
      ConfigError: it is not installed; the message says how to install it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        library = name.partition(".")[0]
        raise ConfigError(
            f"this needs {library} ({error}): pip install 'stepnav[bench]'"
        ) from error


def check_installed(*names: str) -> None:
    """Check that a report can be written, before hours are spent on the searches for it.

    Args:
      names: libraries that it needs of the extra `bench`; none means all.
    Raises:
      ConfigError: one is missing.
    """
    from importlib.util import find_spec

    missing = [name for name in names or BENCH_LIBRARIES if find_spec(name) is None]
    if missing:
        raise ConfigError(f"this needs {', '.join(missing)}: pip install 'stepnav[bench]'")
