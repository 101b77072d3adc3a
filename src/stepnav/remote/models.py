"""Which models a server lists, and how many tokens the context of each holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""What servers call the context length (prompt and answer together) in their list of models."""

MOST_TOKENS = 10**9
"""A larger count is none."""


def parse_models(payload: Any) -> dict[str, int | None]:
    """Return the models that a server lists, and how many tokens the context of each holds.

    What cannot be read is left out; names that cannot be printed are no names.
    """
    listed = payload.get("data") if isinstance(payload, Mapping) else None
    found: dict[str, int | None] = {}
    for model in listed if isinstance(listed, list) else []:
        name = model.get("id") if isinstance(model, Mapping) else None
        if isinstance(name, str) and name.isprintable():
            counts = (count_of(model.get(field)) for field in CONTEXT_FIELDS)
            found[name] = next((count for count in counts if count), None)
    return found


def count_of(value: Any) -> int | None:
    """Return a count of tokens, None if the value is none."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= MOST_TOKENS else None
