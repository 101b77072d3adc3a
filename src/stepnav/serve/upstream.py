"""Requests that are not searched go to the model server, and its answer comes back as it is.

By httpcore, which httpx is built on: what httpx adds (cookies, redirects, proxies) is not wanted
here, and would be half of the time that a passed request takes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpcore
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from stepnav.serve.errors import RETRY_SOON, ApiError
from stepnav.serve.house import Server
from stepnav.serve.requests import until_gone

PATHS = {"chat": "/chat/completions", "completions": "/completions", "responses": "/responses"}
CONNECT_S = 5.0
MAX_ANSWER_BYTES = 32 * 2**20
KEPT_HEADERS = ("retry-after", "x-request-id", "openai-processing-ms")

FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)
_HEADERS = [("Accept-Encoding", "identity"), ("Content-Type", "application/json")]

logger = logging.getLogger("stepnav")


class Upstream:
    """A connection pool to the model server; lives in the event loop of this one.

    Args:
      server: where it is; nothing of that is ever taken from a request.
    """

    def __init__(self, server: Server) -> None:
        self.num_open = 0
        self._server = server
        self._headers = [("Host", urlsplit(server.base_url).netloc), *_HEADERS]
        if server.api_key is not None:
            self._headers.append(("Authorization", f"Bearer {server.api_key}"))
        limit_s = {"read": server.timeout_s, "write": server.timeout_s, "pool": server.timeout_s}
        self._extensions = {"timeout": {"connect": CONNECT_S, **limit_s}}
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=None, max_keepalive_connections=128, retries=1
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

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
        try:
            content = json.dumps(body).encode()
        except RecursionError:
            raise ApiError(400, "the body is nested too deeply", code="invalid_json") from None
        self.num_open += 1
        answer = None
        try:
            answer = await until_gone(request, self._exchange(PATHS[kind], content))
        finally:
            if not isinstance(answer, httpcore.Response):
                self.num_open -= 1
        if isinstance(answer, httpcore.Response):
            return _Stream(self, answer, headers)
        answer.headers.update(headers)
        return answer

    async def _exchange(self, path: str, content: bytes) -> httpcore.Response | Response:
        """Return the whole answer, or one that is opened as a stream."""
        request = httpcore.Request(
            "POST",
            self._server.base_url + path,
            headers=[*self._headers, ("Content-Length", str(len(content)))],
            content=content,
            extensions=self._extensions,
        )
        try:
            answer = await self._pool.handle_async_request(request)
            if _header(answer, b"content-type").startswith("text/event-stream"):
                return answer
            try:
                return self._whole(answer, await _read(answer))
            finally:
                await answer.aclose()
        except httpcore.TimeoutException:
            raise _error(504, "the model server does not answer in time") from None
        except FAILURES as error:
            logger.warning("the model server cannot be reached (%s)", type(error).__name__)
            raise _error(502, "the model server cannot be reached; try again later") from None

    def _whole(self, answer: httpcore.Response, content: bytes) -> Response:
        if not content.lstrip().startswith((b"{", b"[")):
            media = _header(answer, b"content-type")[:80] or "nothing"
            raise _error(
                502,
                f"the model server answered {media} instead of JSON (HTTP {answer.status}); is its "
                "address that of a model server?",
            )
        found = {name: _header(answer, name.encode()) for name in KEPT_HEADERS}
        kept = {name: value for name, value in found.items() if value}
        return Response(self.blotted(content), answer.status, kept, media_type="application/json")

    def blotted(self, content: bytes) -> bytes:
        """Return an answer without the key, should the model server repeat it."""
        key = self._server.api_key
        return content.replace(key.encode(), b"***") if key else content


class _Stream(StreamingResponse):
    """A stream of the model server's, which is hung up on however this one ends."""

    def __init__(
        self, upstream: Upstream, answer: httpcore.Response, headers: Mapping[str, str]
    ) -> None:
        self._upstream, self._answer = upstream, answer
        super().__init__(self._pieces(), answer.status, headers, media_type="text/event-stream")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__({**scope, "asgi": {"spec_version": "2.3"}}, receive, send)
        finally:
            self._upstream.num_open -= 1
            await self._answer.aclose()

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.aiter_stream():
                yield self._upstream.blotted(piece)
        except (*FAILURES, httpcore.TimeoutException):
            body = _error(502, "the model server hung up").body()
            yield f"data: {json.dumps(body)}\n\n".encode()


async def _read(answer: httpcore.Response) -> bytes:
    content = bytearray()
    async for piece in answer.aiter_stream():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise _error(502, "the model server's answer is too long")
    return bytes(content)


def _header(answer: httpcore.Response, name: bytes) -> str:
    """Return a header, empty if it is not there."""
    found = (value for key, value in answer.headers if key.lower() == name)
    return next(found, b"").decode("latin-1")


def _error(status: int, message: str) -> ApiError:
    return ApiError(status, message, code="upstream_failed", headers=RETRY_SOON)
