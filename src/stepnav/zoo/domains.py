"""The domains that models are made for, each imported when it is used."""

from __future__ import annotations

from importlib import import_module

from stepnav.core.errors import ConfigError, nearest
from stepnav.zoo.domain import Domain

DOMAINS = {
    "arithmetic": "stepnav.zoo.arithmetic",
    "plain": "stepnav.zoo.plain",
    "micro-python": "stepnav.zoo.micro_python",
}
"""Task -> module that holds its `DOMAIN`."""


def load_domain(task: str) -> Domain:
    """Return the domain of a task.

    Raises:
      ConfigError: no models are made for such a task.
    """
    if task not in DOMAINS:
        raise ConfigError(
            f"no models are made for the task {task!r}{nearest(task, list(DOMAINS))}; "
            f"use one of {', '.join(DOMAINS)}"
        )
    domain: Domain = import_module(DOMAINS[task]).DOMAIN
    return domain
