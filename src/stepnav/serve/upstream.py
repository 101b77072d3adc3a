"""Requests that are not searched go to the model server, and its answer comes back as it is."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from stepnav.serve.errors import ApiError
from stepnav.serve.house import Server
from stepnav.serve.requests import until_gone

PATHS = {"chat": "/chat/completions", "completions": "/completions", "responses": "/responses"}
CONNECT_S = 5.0
MAX_ANSWER_BYTES = 32 * 2**20
KEPT_HEADERS = ("retry-after", "x-request-id", "openai-processing-ms")

logger = logging.getLogger("stepnav")


class Upstream:
    """A connection pool to the model server; lives in the event loop of this one.

    Args:
      server: where it is; nothing of that is ever taken from a request.
    """

    def __init__(self, server: Server) -> None:
        self.num_open = 0
        self._server = server
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if server.api_key is not None:
            headers["Authorization"] = f"Bearer {server.api_key}"
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=128)
        verify = server.base_url.startswith("https")
        self._http = httpx.AsyncClient(
            base_url=server.base_url,
            headers=headers,
            timeout=httpx.Timeout(server.timeout_s, connect=CONNECT_S),
            transport=httpx.AsyncHTTPTransport(verify=verify, retries=1, limits=limits),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def forward(
        self, request: Request, kind: str, raw: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Response:
        """Return the model server's answer.

        Args:
          request: if its client goes away, the model server is hung up on.
          kind: of the request.
          raw: its body; the model's name is replaced, and what is ours is left out.
          headers: added to the answer.
        Raises:
          ApiError: the model server cannot be reached, or its answer is not a model server's.
        """
        body = {name: value for name, value in raw.items() if name != "stepnav"}
        body["model"] = self._server.model
        content = json.dumps(body).encode()
        self.num_open += 1
        answer = None
        try:
            answer = await until_gone(request, self._exchange(PATHS[kind], content))
        finally:
            if not isinstance(answer, httpx.Response):
                self.num_open -= 1
        if isinstance(answer, httpx.Response):
            return _Stream(self, answer, headers)
        answer.headers.update(headers)
        return answer

    async def _exchange(self, path: str, content: bytes) -> httpx.Response | Response:
        """Return the whole answer, or one that is opened as a stream."""
        try:
            answer = await self._http.send(
                self._http.build_request("POST", path, content=content), stream=True
            )
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                return answer
            try:
                return self._whole(answer, await _read(answer))
            finally:
                await answer.aclose()
        except httpx.TimeoutException:
            raise _error(504, "the model server does not answer in time") from None
        except httpx.HTTPError as error:
            logger.warning("the model server cannot be reached (%s)", type(error).__name__)
            raise _error(502, "the model server cannot be reached; try again later") from None

    def _whole(self, answer: httpx.Response, content: bytes) -> Response:
        if not content.lstrip().startswith((b"{", b"[")):
            media = answer.headers.get("content-type", "nothing")[:80]
            raise _error(
                502,
                f"the model server answered {media} instead of JSON (HTTP {answer.status_code}); is its "
                "address that of a model server?",
            )
        kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        return Response(
            self.blotted(content), answer.status_code, kept, media_type="application/json"
        )

    def blotted(self, content: bytes) -> bytes:
        """Return an answer without the key, should the model server repeat it."""
        key = self._server.api_key
        return content.replace(key.encode(), b"***") if key else content


class _Stream(StreamingResponse):
    """A stream of the model server's, which is hung up on however this one ends."""

    def __init__(
        self, upstream: Upstream, answer: httpx.Response, headers: Mapping[str, str]
    ) -> None:
        self._upstream, self._answer = upstream, answer
        super().__init__(
            self._pieces(), answer.status_code, headers, media_type="text/event-stream"
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__({**scope, "asgi": {"spec_version": "2.3"}}, receive, send)
        finally:
            self._upstream.num_open -= 1
            await self._answer.aclose()

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.aiter_raw():
                yield self._upstream.blotted(piece)
        except httpx.HTTPError:
            body = _error(502, "the model server hung up").body()
            yield f"data: {json.dumps(body)}\n\n".encode()


async def _read(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in answer.aiter_raw():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise _error(502, "the model server's answer is too long")
    return bytes(content)


def _error(status: int, message: str) -> ApiError:
    return ApiError(status, message, code="upstream_failed", headers={"Retry-After": "5"})
