"""Requests that are not searched go to the model server, and its answer comes back as it is.

By aiohttp: the pool of httpx looks through all its connections at every request, which is most of
what a passed request costs with 64 clients.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from stepnav.core.errors import ConfigError
from stepnav.serve.errors import RETRY_SOON, ApiError
from stepnav.serve.house import Server
from stepnav.serve.requests import until_gone

PATHS = {"chat": "/chat/completions", "completions": "/completions", "responses": "/responses"}
CONNECT_S = 5.0
IDLE_S = 4.0
"""So long an idle connection is kept: less than the 5 s after which vLLM closes it."""
MAX_ANSWER_BYTES = 32 * 2**20
KEPT_HEADERS = ("retry-after", "x-request-id", "openai-processing-ms")

_HEADERS = {"Accept-Encoding": "identity", "Content-Type": "application/json"}

logger = logging.getLogger("stepnav")


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL, as searches take it; None for none.

    Not by aiohttp's own `trust_env`, which also sends what ~/.netrc holds for the host as a key.

    Raises:
      ConfigError: it is none of HTTP.
    """
    scheme, host, *_ = urlsplit(url)
    named = getproxies()
    proxy = named.get(scheme) or named.get("all")
    if not proxy or proxy_bypass(host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    kind = urlsplit(proxy).scheme
    if kind not in ("http", "https"):
        raise ConfigError(
            f"requests cannot be passed to {url} through a proxy of {kind}; name one of http in "
            f"{scheme.upper()}_PROXY, or the host in NO_PROXY"
        )
    return proxy


class Upstream:
    """A connection pool to the model server; lives in the event loop of this one.

    Args:
      server: where it is; nothing of that is ever taken from a request.
    Raises:
      ConfigError: the environment names a proxy that cannot be used.
    """

    def __init__(self, server: Server) -> None:
        self.num_open = 0
        self._server = server
        self._headers = dict(_HEADERS)
        if server.api_key is not None:
            self._headers["Authorization"] = f"Bearer {server.api_key}"
        self._proxy = proxy_for(server.base_url)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Return the pool, which is made in the event loop that it lives in."""
        if self._session is None:
            limit_s = self._server.timeout_s
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=IDLE_S, ssl=httpx.create_ssl_context()
                ),
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=limit_s),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

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
            if not isinstance(answer, aiohttp.ClientResponse):
                self.num_open -= 1
        if isinstance(answer, aiohttp.ClientResponse):
            return _Stream(self, answer, headers)
        answer.headers.update(headers)
        return answer

    async def _exchange(self, path: str, content: bytes) -> aiohttp.ClientResponse | Response:
        """Return the whole answer, or one that is opened as a stream."""
        try:
            answer = await self._opened().post(
                self._server.base_url + path,
                data=content,
                allow_redirects=False,
                proxy=self._proxy,
            )
            if answer.content_type == "text/event-stream":
                return answer
            try:
                return self._whole(answer, await _read(answer))
            finally:
                answer.close()
        except asyncio.TimeoutError:
            raise _error(504, "the model server does not answer in time") from None
        except aiohttp.ClientError as error:
            logger.warning("the model server cannot be reached (%s)", type(error).__name__)
            raise _error(502, "the model server cannot be reached; try again later") from None

    def _whole(self, answer: aiohttp.ClientResponse, content: bytes) -> Response:
        if not content.lstrip().startswith((b"{", b"[")):
            media = _readable(answer, "content-type")[:80] or "nothing"
            raise _error(
                502,
                f"the model server answered {media} instead of JSON (HTTP {answer.status}); is its "
                "address that of a model server?",
            )
        found = {name: _readable(answer, name) for name in KEPT_HEADERS}
        kept = {name: value for name, value in found.items() if value}
        return Response(self.blotted(content), answer.status, kept, media_type="application/json")

    def blotted(self, content: bytes) -> bytes:
        """Return an answer without the key, should the model server repeat it."""
        key = self._server.api_key
        return content.replace(key.encode(), b"***") if key else content


class _Stream(StreamingResponse):
    """A stream of the model server's, which is hung up on however this one ends."""

    def __init__(
        self, upstream: Upstream, answer: aiohttp.ClientResponse, headers: Mapping[str, str]
    ) -> None:
        self._upstream, self._answer = upstream, answer
        super().__init__(self._pieces(), answer.status, headers, media_type="text/event-stream")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__({**scope, "asgi": {"spec_version": "2.3"}}, receive, send)
        finally:
            self._upstream.num_open -= 1
            self._answer.close()

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.content.iter_any():
                yield self._upstream.blotted(piece)
        except (aiohttp.ClientError, asyncio.TimeoutError):
            body = _error(502, "the model server hung up").body()
            yield f"data: {json.dumps(body)}\n\n".encode()


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in answer.content.iter_any():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise _error(502, "the model server's answer is too long")
    return bytes(content)


def _readable(answer: aiohttp.ClientResponse, name: str) -> str:
    """Return a header, empty if it is not there; what may be no UTF-8 can be sent on."""
    return answer.headers.get(name, "").encode("ascii", "replace").decode()


def _error(status: int, message: str) -> ApiError:
    return ApiError(status, message, code="upstream_failed", headers=RETRY_SOON)
