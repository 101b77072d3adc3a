"""The events of a streamed /v1/responses, in OpenAI's order; each has its name and a number.

The text comes in one piece, since it is known only when the search has ended. Settled steps are not
told: the protocol knows summaries of reasoning, and they are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sse_starlette import ServerSentEvent

from stepnav.core.outcome import SearchResult
from stepnav.serve.errors import ApiError
from stepnav.serve.replies import (
    choices_of,
    response_head,
    response_message,
    response_of,
    text_part,
)
from stepnav.serve.wanted import Wanted

BEGUN = ("response.created", "response.in_progress")


def opening_events(wanted: Wanted, created: int) -> Iterator[ServerSentEvent]:
    """Yield what is sent at once."""
    head = response_head(wanted, created, "in_progress")
    for number, kind in enumerate(BEGUN):
        yield _event(number, kind, response=head)


def closing_events(wanted: Wanted, created: int, result: SearchResult) -> Iterator[ServerSentEvent]:
    """Yield the message in its parts, then the whole reply."""
    choices = choices_of(wanted, result)
    reply = response_of(wanted, result, choices, created)
    (message,), text = reply["output"], choices[0].text
    item = {"output_index": 0}
    part = {**item, "content_index": 0, "item_id": message["id"]}
    begun = response_message(wanted, None, "in_progress")
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.output_item.added", {**item, "item": begun}),
        ("response.content_part.added", {**part, "part": text_part("")}),
        ("response.output_text.delta", {**part, "delta": text, "logprobs": []}),
        ("response.output_text.done", {**part, "text": text, "logprobs": []}),
        ("response.content_part.done", {**part, "part": text_part(text)}),
        ("response.output_item.done", {**item, "item": message}),
        (f"response.{reply['status']}", {"response": reply}),
    ]
    for number, (kind, fields) in enumerate(events, len(BEGUN)):
        yield _event(number, kind, **fields)


def failing_event(error: ApiError) -> ServerSentEvent:
    """Return what ends a stream that cannot go on."""
    said = error.body()["error"]
    return _event(
        len(BEGUN), "error", code=said["code"], message=said["message"], param=said["param"]
    )


def _event(number: int, kind: str, **fields: Any) -> ServerSentEvent:
    data = json.dumps({"type": kind, "sequence_number": number, **fields})
    return ServerSentEvent(data=data, event=kind, sep="\n")
