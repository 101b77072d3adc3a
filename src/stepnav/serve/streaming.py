"""Searches as server-sent events: settled steps as they come, then the choices."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus

from stepnav.core.outcome import SearchResult
from stepnav.core.tree import Node
from stepnav.serve.replies import choices_of, details_of, head, usage_of
from stepnav.serve.wanted import Wanted

KEEP_ALIVE_S = 15.0
SEND_S = 30.0
"""A client that takes nothing for so long is left."""

AppStatus.enable_automatic_graceful_drain = (
    False  # streams end with their searches, which are told to
)


def follower(tell: Callable[[str], None]) -> Callable[[Node], None]:
    """Return what is to be called with every change of a tree; tells each settled step once."""
    told: set[int] = set()

    def follow(node: Node) -> None:
        if node.is_settled and node.index not in told:
            told.add(node.index)
            tell(node.step.text)

    return follow


def events_response(
    events: AsyncIterator[ServerSentEvent], headers: dict[str, str]
) -> EventSourceResponse:
    """Return a response that sends events, and comments while there are none."""
    return EventSourceResponse(
        events, headers=headers, ping=KEEP_ALIVE_S, send_timeout=SEND_S, sep="\n",
        ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep="\n"),
    )  # fmt: skip


def event(data: Any) -> ServerSentEvent:
    """Return one event; JSON unless it is text."""
    text = data if isinstance(data, str) else json.dumps(data)
    return ServerSentEvent(data=text, sep="\n")


def opening(wanted: Wanted, created: int) -> Iterator[ServerSentEvent]:
    """Yield what is sent at once."""
    if wanted.kind == "chat":
        for index in range(wanted.n):
            yield event(
                _chunk(wanted, created, [_delta(index, {"role": "assistant", "content": ""})])
            )


def step_event(wanted: Wanted, created: int, text: str) -> ServerSentEvent | None:
    """Return the event of a settled step; None where the protocol has no place for it."""
    if wanted.kind != "chat":
        return None
    delta = {"reasoning": text, "reasoning_content": text}
    return event(_chunk(wanted, created, [_delta(0, delta)]))


def closing(wanted: Wanted, created: int, result: SearchResult) -> Iterator[ServerSentEvent]:
    """Yield the choices, what was used, and the end."""
    choices = choices_of(wanted, result)
    for index, choice in enumerate(choices):
        text = {"content": choice.text} if wanted.kind == "chat" else choice.text
        yield event(_chunk(wanted, created, [_delta(index, text)]))
    ends = []
    for index, choice in enumerate(choices):
        end = _delta(index, {} if wanted.kind == "chat" else "")
        own = {"answer": choice.answer, "mass": choice.mass}
        ends.append(
            {
                **end,
                "finish_reason": choice.finish_reason,
                **({"stepnav": own} if wanted.is_searched else {}),
            }
        )
    details = {"stepnav": details_of(wanted, result)} if wanted.is_searched else {}
    yield event({**_chunk(wanted, created, ends), **details})
    if wanted.has_usage_chunk:
        yield event({**_chunk(wanted, created, []), "usage": usage_of(result, choices)})
    yield event("[DONE]")


def _chunk(wanted: Wanted, created: int, choices: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {"usage": None} if wanted.has_usage_chunk else {}
    return {**head(wanted, created, is_chunk=True), "choices": choices, **usage}


def _delta(index: int, content: dict[str, Any] | str) -> dict[str, Any]:
    name = "text" if isinstance(content, str) else "delta"
    return {"index": index, name: content, "finish_reason": None, "logprobs": None}
