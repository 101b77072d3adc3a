"""Libraries that come with the package's extras, imported where they are used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stepnav.core.errors import ConfigError, one_line


@contextmanager
def importing(who: str, what: str, extra: str) -> Iterator[None]:
    """Say in one line which library is missing or broken.

    Args:
      who: needs it.
      what: is imported.
      extra: of the package, which brings it.
    Raises:
      ConfigError: it is missing or broken.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"{who} needs {error.name}: pip install 'stepnav[{extra}]'.") from None
    except ImportError as error:  # of its libraries one is missing or has no room
        raise ConfigError(
            f"{what} is there and cannot be loaded ({one_line(error)}); install it again, or give "
            "this process more memory"
        ) from None
