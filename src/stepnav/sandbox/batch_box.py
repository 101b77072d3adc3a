"""Inside the box: many variants of one trusted program in one fork."""

from __future__ import annotations

from typing import Any


def run(channel: int, message: tuple[Any, ...]) -> None:
    """Serve one batch over a descriptor."""
    raise NotImplementedError
