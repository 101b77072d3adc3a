"""What a server refuses and why, as pure functions: the many ways in which servers say it.

Nothing is taken for a refusal that may be an echo of what was sent. What can be mended is told:
a field that the server does not know, a token limit that it calls otherwise, a context that is
smaller than prompt and limit together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepnav.remote.errors import error_message, payload_of

DROPPABLE = (
    "generation_config",
    "include_stop_str_in_output",
    "no_stop_trim",
    "logprobs",
    "n",
    "seed",
    "stop",
    "temperature",
    "top_p",
)
"""Fields without which a request still makes sense; a server's refusal of one is remembered."""

_NUMBER = r"(?<!\d)(\d{1,9})(?!\d)"


@dataclass(frozen=True, slots=True)
class ContextRefusal:
    """A request that did not fit into the context.

    Attributes:
      context_tokens: what prompt and answer may hold together.
      prompt_tokens: the prompt's; None if the server did not count them.
      is_least: whether the prompt may have more than that.
    """

    context_tokens: int
    prompt_tokens: int | None
    is_least: bool

    def next_limit(self, limit: int) -> int | None:
        """Return the token limit to ask for instead of `limit`, None if none would fit."""
        room = self.context_tokens - (self.prompt_tokens or 0)
        if room <= 0 or limit <= 1:
            return None
        if self.prompt_tokens is None or self.is_least or room >= limit:
            return min(limit // 2, room)
        return room


def refused_field(body: str, sent: Mapping[str, Any]) -> str | None:
    """Return which of the sent fields a 400 or 422 answer complains of, None if none is named.

    A server that names fields in a place of their own is taken at its word. Else they are looked
    for in its message, but not those whose name stands in the texts that were sent.
    """
    candidates = [field for field in DROPPABLE if field in sent]
    named = _named_fields(payload_of(body))
    if named:
        return next((field for field in named if field in candidates), None)
    message = error_message(body)
    shown = shown_text(sent)
    for field in candidates:
        if re.search(rf"\b{field}\b", shown):
            continue
        is_quoted = re.search(rf"""(['"`]){field}\1""", message)
        is_word = len(field) > 3 and field != "stop" and re.search(rf"\b{field}\b", message)
        if is_quoted or is_word or re.search(rf"\bsupplied: {field}\b", message):
            return field
    return None


def _named_fields(payload: Mapping[str, Any]) -> list[str]:
    """Return field names in OpenAI's `error.param` and in pydantic's `detail[].loc`."""
    names: list[str] = []
    error = payload.get("error")
    if isinstance(error, dict) and isinstance(error.get("param"), str):
        names.append(error["param"])
    detail = payload.get("detail")
    for item in detail if isinstance(detail, list) else []:
        location = item.get("loc") if isinstance(item, dict) else None
        parts = location if isinstance(location, list) else []
        names += [part for part in parts if isinstance(part, str)]
    return names


def shown_text(body: Mapping[str, Any]) -> str:
    """Return all text that a request shows the model."""
    messages = body.get("messages", ())
    return "\n".join([body.get("prompt", ""), *(message["content"] for message in messages)])


def is_renamed_limit(body: str) -> bool:
    """Return whether an error says to send `max_completion_tokens` instead of `max_tokens`."""
    return bool(re.search(r"\buse\s+\W?max_completion_tokens", error_message(body), re.IGNORECASE))


def token_limit(body: str) -> int | None:
    """Return the largest `max_tokens` that an error message says is allowed, if it says so."""
    message = error_message(body)
    if not re.search(r"max_(?:completion_|new_)?tokens", message) or "context" in message:
        return None
    match = re.search(
        r"(?:at most|less than or equal to|maximum(?: allowed)?(?: value)?[^0-9]{0,40}?|<=|up to)"
        rf"\s*`?{_NUMBER}",
        message,
    )
    return int(match[1]) if match and int(match[1]) > 0 else None


def context_refusal(body: str) -> ContextRefusal | None:
    """Return what an error says of a context that is too small, None if it speaks of none."""
    message = error_message(body)
    context = re.search(
        rf"maximum context length (?:is|of) {_NUMBER}"
        rf"|max_model_len=(?:max_total_tokens=)?{_NUMBER}",
        message,
    )
    if context is None:
        return None
    prompt = re.search(
        rf"{_NUMBER} (?:input tokens|in the (?:messages|prompt)|tokens from the input)"
        rf"|resulted in {_NUMBER} tokens",
        message,
    )
    is_counted = prompt is not None and "upper bound" not in message
    return ContextRefusal(
        int(context[1] or context[2]),
        int(prompt[1] or prompt[2]) if prompt is not None and is_counted else None,
        "at least" in message,
    )
