"""Which requests no search can serve, so that they go to the model server as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from stepnav.serve.bodies import Turn
from stepnav.serve.errors import ApiError

Kind = Literal["chat", "completions", "responses"]

UNSEARCHABLE = (
    *("tools", "functions", "logprobs", "top_logprobs", "response_format", "audio", "modalities"),
    *("echo", "suffix", "best_of", "text", "web_search_options", "prediction"),
)
"""Fields that a search cannot serve."""

STATEFUL = ("previous_response_id", "conversation", "background")
"""Fields of a server that keeps answers, as this one does not."""


def unsearchable(kind: Kind, raw: Mapping[str, Any]) -> str | None:
    """Return the field that no search can serve; fields of a wrong form are found later."""
    if kind == "responses" and raw.get("stream"):
        raise ApiError(400, "streams of /v1/responses are not served", param="stream")
    for name in STATEFUL:
        if raw.get(name):
            raise ApiError(
                400, f"{name} needs a server that keeps answers; this one keeps none", param=name
            )
    for name in UNSEARCHABLE:
        value = raw.get(name)
        is_plain_text = name in ("response_format", "text", "modalities") and (
            value in ({"type": "text"}, {"format": {"type": "text"}}, ["text"])
        )
        is_count = name in ("logprobs", "best_of") and not isinstance(value, bool)
        is_unset = value is None if is_count and value != 1 else not value
        if not is_unset and not is_plain_text and not (name == "best_of" and value == 1):
            return name
    if kind == "completions":
        return "prompt" if isinstance(raw.get("prompt"), list) else None
    try:
        turns = [Turn.model_validate(turn) for turn in _listed(raw, kind)]
    except ValidationError:
        return None
    if any(turn.role in ("tool", "function") or not turn.is_text for turn in turns):
        return "messages" if kind == "chat" else "input"
    if turns and turns[-1].role == "assistant":
        return "messages" if kind == "chat" else "input"
    return None


def _listed(raw: Mapping[str, Any], kind: Kind) -> list[Any]:
    found = raw.get("messages" if kind == "chat" else "input")
    return found if isinstance(found, list) else []
