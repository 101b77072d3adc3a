"""A model server's stream in whole events.

A client cannot read half an event, and half a key cannot be found and blotted out.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable

import aiohttp
from starlette.requests import ClientDisconnect

from stepnav.serve.errors import ApiError, gateway_error

MAX_ANSWER_BYTES = 32 * 2**20
"""Of a whole answer, and of one event of a stream."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"^[^:\r\n]", re.MULTILINE)
"""The beginning of a line that is no comment."""


class PassedEvents:
    """The events of a model server's stream.

    Args:
      pieces: the stream as it comes.
      blotted: takes the key out of an event.
      on_first: called at the first event that is no comment.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        blotted: Callable[[bytes], bytes],
        on_first: Callable[[], None],
    ) -> None:
        self._pieces, self._blotted, self._on_first = pieces, blotted, on_first
        self._failure: Exception | None = ClientDisconnect()  # until it has come to its end

    async def events(self) -> AsyncIterator[bytes]:
        """Yield them as they come; an error ends them, and none that has only begun is told."""
        is_first = True
        try:
            async for events in _whole_events(self._pieces):
                if is_first and _FIELD.search(events):
                    self._on_first()
                    is_first = False
                yield self._blotted(events)
            self._failure = None
            return
        except (TimeoutError, aiohttp.ClientError):
            failure = gateway_error(502, "the model server hung up")
        except ApiError as error:
            failure = error
        self._failure = failure
        yield f"data: {json.dumps(failure.body())}\n\n".encode()

    def check(self) -> None:
        """Do nothing if the stream has come to its end.

        Raises:
          ApiError: it broke off.
          ClientDisconnect: it was left before.
        """
        if self._failure is not None:
            raise self._failure


async def _whole_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield whole events; at the end, not after an error, also what is no whole one.

    Raises:
      ApiError: one is longer than any answer may be.
    """
    begun = bytearray()
    async for piece in pieces:
        seen = max(0, len(begun) - 2)  # a blank line may lie across pieces
        begun += piece
        ends = [found.end() for found in _BLANK_LINE.finditer(begun, seen)]
        if ends:
            yield bytes(begun[: ends[-1]])
            del begun[: ends[-1]]
        if len(begun) > MAX_ANSWER_BYTES:
            raise gateway_error(502, "the model server's answer is too long")
    if begun:
        yield bytes(begun)
