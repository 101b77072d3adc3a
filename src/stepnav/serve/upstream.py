"""Requests that are not searched go to the model server, and its answer comes back as it is.

By aiohttp: the pool of httpx looks through all its connections at every request, which is most of
what a passed request costs with 64 clients.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
from fastapi import Request
from fastapi.responses import Response

from stepnav.core.errors import ConfigError, quote
from stepnav.remote.errors import error_of
from stepnav.remote.proxy import proxy_for
from stepnav.serve.errors import ApiError, failed, gateway_error, stopping
from stepnav.serve.house import Server
from stepnav.serve.passed_events import MAX_ANSWER_BYTES, PassedEvents
from stepnav.serve.requests import until_gone
from stepnav.serve.streaming import EventStream
from stepnav.serve.wanted import Endpoint

PATHS: Mapping[Endpoint, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "responses": "/responses",
}
CONNECT_S = 5.0
IDLE_S = 4.0
"""So long an idle connection is kept: less than the 5 s after which vLLM closes it."""
KEPT_HEADERS = ("retry-after", "x-request-id", "openai-processing-ms")
ACCOUNT_STATUS = frozenset({401, 402, 403})
"""What concerns the operator's account there: clients can do nothing about it, and it may name the
key."""

_HEADERS = {"Accept-Encoding": "identity", "Content-Type": "application/json"}

logger = logging.getLogger("stepnav")


def http_proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL, as searches take it; None for none.

    Not by aiohttp's own `trust_env`, which also sends what ~/.netrc holds for the host as a key.

    Raises:
      ConfigError: it is none of HTTP.
    """
    proxy = proxy_for(url)
    kind = "http" if proxy is None else urlsplit(proxy).scheme
    if kind not in ("http", "https"):
        raise ConfigError(
            f"requests cannot be passed to {url} through a proxy of {kind}; name one of http in "
            f"{urlsplit(url).scheme.upper()}_PROXY, or the host in NO_PROXY"
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
        self._proxy = http_proxy_for(server.base_url)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams: set[aiohttp.ClientResponse] = set()
        self._is_stopping = False

    def hurry(self) -> None:
        """End what is passed, as the server stops, each with an error; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._end_all()))

    async def _end_all(self) -> None:
        self._is_stopping = True
        for answer in self._streams:
            answer.content.set_exception(stopping())
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Return the pool, which is made in the event loop that it lives in."""
        if self._session is None:
            limit_s, self._loop = self._server.timeout_s, asyncio.get_running_loop()
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
        self,
        request: Request,
        kind: Endpoint,
        raw: Mapping[str, Any],
        headers: Mapping[str, str],
        *,
        stack: ExitStack,
        on_first: Callable[[], None],
    ) -> Response:
        """Return the model server's answer.

        Args:
          request: if its client goes away, the model server is hung up on.
          kind: of the request.
          raw: its body; the model's name is replaced, and what is ours is left out.
          headers: added to the answer.
          stack: emptied where the answer is a stream, at whose end what was in it is closed.
          on_first: called at the first event of a stream.
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
        stack.callback(self._end_one)
        answer = await until_gone(request, self._exchange(PATHS[kind], content))
        if isinstance(answer, Response):
            answer.headers.update(headers)
            return answer
        self._streams.add(answer)
        stack.callback(self._streams.discard, answer)
        stack.callback(answer.close)
        passed = PassedEvents(answer.content.iter_any(), self.blotted, on_first)
        headers = {**_kept(answer), **headers}
        return EventStream(
            passed.events(), headers, stack.pop_all(), passed.check, status=answer.status
        )

    def _end_one(self) -> None:
        self.num_open -= 1

    async def _exchange(self, path: str, content: bytes) -> aiohttp.ClientResponse | Response:
        """Return the whole answer, or one that is opened as a stream."""
        try:
            answer = await self._opened().post(
                self._server.base_url + path,
                data=content,
                allow_redirects=False,
                proxy=self._proxy,
            )
            is_stream = answer.content_type == "text/event-stream"
            if is_stream and answer.status not in ACCOUNT_STATUS:
                return answer
            try:
                return self._whole(answer, await _read(answer))
            finally:
                answer.close()
        except TimeoutError:
            raise gateway_error(504, "the model server does not answer in time") from None
        except aiohttp.ClientError as error:
            if self._is_stopping:
                raise stopping() from None
            logger.warning("the model server cannot be reached (%s)", type(error).__name__)
            raise gateway_error(
                502, "the model server cannot be reached; try again later"
            ) from None

    def _whole(self, answer: aiohttp.ClientResponse, content: bytes) -> Response:
        content, status = self.blotted(content), answer.status
        if status in ACCOUNT_STATUS:
            has_key = self._server.api_key is not None
            told = content.decode(errors="replace")
            error = error_of(status, told, self._server.model, has_key=has_key)
            raise failed(error, str(error))
        if 300 <= status < 400:
            logger.warning("the model server redirects to %s", quote(_readable(answer, "location")))
            raise gateway_error(
                502,
                f"the model server redirects to another address (HTTP {status}), which is not "
                "followed; this server must be started with that address (--policy)",
            )
        if not content.lstrip().startswith((b"{", b"[")):
            media = _readable(answer, "content-type")[:80] or "nothing"
            said = "what is no JSON" if "json" in media else f"{media} instead of JSON"
            raise gateway_error(
                502,
                f"the model server answered {said} (HTTP {status}); is its address that of a model "
                "server?",
            )
        return Response(content, status, _kept(answer), media_type="application/json")

    def blotted(self, content: bytes) -> bytes:
        """Return an answer without the key, should the model server repeat it."""
        key = self._server.api_key
        return content.replace(key.encode(), b"***") if key else content


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in answer.content.iter_any():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise gateway_error(502, "the model server's answer is too long")
    return bytes(content)


def _kept(answer: aiohttp.ClientResponse) -> dict[str, str]:
    found = {name: _readable(answer, name) for name in KEPT_HEADERS}
    return {name: value for name, value in found.items() if value}


def _readable(answer: aiohttp.ClientResponse, name: str) -> str:
    """Return a header, empty if it is not there; what may be no UTF-8 can be sent on."""
    return answer.headers.get(name, "").encode("ascii", "replace").decode()
