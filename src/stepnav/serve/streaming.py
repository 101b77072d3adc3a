"""Server-sent events; of searches settled steps as they come, then the choices."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus
from starlette.requests import ClientDisconnect

from stepnav.core.outcome import SearchResult
from stepnav.serve.errors import ApiError
from stepnav.serve.replies import choices_of, details_of, end_fields, head, thought_fields, usage_of
from stepnav.serve.response_events import closing_events, failing_event, opening_events
from stepnav.serve.wanted import Wanted

KEEP_ALIVE_S = 15.0

AppStatus.enable_automatic_graceful_drain = (
    False  # streams end with their searches, which are told to
)


class EventStream(EventSourceResponse):
    """A response that sends events, and comments while there are none.

    Args:
      events: what is sent; bytes are whole events.
      headers: of the response.
      stack: closed at its end, however it ends, even before the first event.
      check: raises what the stream failed with; called before that, so that those in the stack are
        told of it.
      status: of HTTP.
    """

    def __init__(
        self,
        events: AsyncIterator[ServerSentEvent | bytes],
        headers: Mapping[str, str],
        stack: ExitStack,
        check: Callable[[], None],
        status: int = 200,
    ) -> None:
        self._stack, self._check = stack, check
        super().__init__(
            events, status, headers, ping=KEEP_ALIVE_S, sep="\n",
            ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep="\n"),
        )  # fmt: skip

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it all."""
        # the client was sent the error, or has left, or takes nothing more
        with suppress(ApiError, ClientDisconnect), self._stack:
            await super().__call__(scope, receive, send)
            self._check()


def event(data: Any) -> ServerSentEvent:
    """Return one event; JSON unless it is text."""
    text = data if isinstance(data, str) else json.dumps(data)
    return ServerSentEvent(data=text, sep="\n")


def opening(wanted: Wanted, created: int) -> Iterator[ServerSentEvent]:
    """Yield what is sent at once."""
    if wanted.kind == "responses":
        yield from opening_events(wanted, created)
    if wanted.kind == "chat":
        yield _role(wanted, created, 0)  # how many more there are is known at the end


def step_events(wanted: Wanted, created: int, text: str) -> Iterator[ServerSentEvent]:
    """Yield the event of a settled step; nothing where the protocol has no place for it."""
    if wanted.kind == "chat":
        delta = {"reasoning": text, "reasoning_content": text}
        yield event(_chunk(wanted, created, [_delta(0, delta)]))


def failing(wanted: Wanted, error: ApiError) -> Iterator[ServerSentEvent]:
    """Yield what ends a stream that cannot go on."""
    if wanted.kind == "responses":
        yield failing_event(error)
        return
    yield event(error.body())
    yield event("[DONE]")


def closing(
    wanted: Wanted, created: int, result: SearchResult, *, is_told: bool
) -> Iterator[ServerSentEvent]:
    """Yield the choices, what was used, and the end; `is_told`: settled steps were sent."""
    if wanted.kind == "responses":
        yield from closing_events(wanted, created, result)
        return
    choices = choices_of(wanted, result)
    for index, choice in enumerate(choices):
        if index and wanted.kind == "chat":
            yield _role(wanted, created, index)
        text = {"content": choice.text} if wanted.kind == "chat" else choice.text
        thought = thought_fields(choice)
        if thought and wanted.kind == "chat" and not (is_told and index == 0):
            yield event(_chunk(wanted, created, [_delta(index, thought)]))
        yield event(_chunk(wanted, created, [_delta(index, text)]))
    nothing: dict[str, Any] | str = {} if wanted.kind == "chat" else ""
    ends = [
        {**_delta(index, nothing), **end_fields(wanted, choice)}
        for index, choice in enumerate(choices)
    ]
    details = {"stepnav": details_of(wanted, result)} if wanted.is_searched else {}
    yield event({**_chunk(wanted, created, ends), **details})
    if wanted.has_usage_chunk:
        yield event({**_chunk(wanted, created, []), "usage": usage_of(result, choices)})
    yield event("[DONE]")


def _role(wanted: Wanted, created: int, index: int) -> ServerSentEvent:
    """Return the event that opens a choice of a chat."""
    return event(_chunk(wanted, created, [_delta(index, {"role": "assistant", "content": ""})]))


def _chunk(wanted: Wanted, created: int, choices: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {"usage": None} if wanted.has_usage_chunk else {}
    return {**head(wanted, created, is_chunk=True), "choices": choices, **usage}


def _delta(index: int, content: dict[str, Any] | str) -> dict[str, Any]:
    name = "text" if isinstance(content, str) else "delta"
    return {"index": index, name: content, "finish_reason": None, "logprobs": None}
