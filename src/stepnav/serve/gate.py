"""What stands before every request: API keys, errors made into responses, a log line."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Sequence
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import anyio
from starlette.requests import ClientDisconnect

from stepnav.core.errors import quote
from stepnav.serve.errors import ApiError

OPEN_PATHS = frozenset({"/health"})
SEND_S = 30.0
"""A client that takes nothing for so long is left."""
MAX_HEADER_BYTES = 2**14
"""Of a request; h11 bounds only headers that have not come to their end."""

logger = logging.getLogger("stepnav")


class Gate:
    """Lets requests through that bring one of the keys; an ASGI application around another one.

    Args:
      app: what is behind it.
      keys: of which a request must bring one; none lets everybody in.
      hosts: names by which the server may be called, besides this machine's own addresses; none
        are all. Without keys a page of another site could else let its own name lead here (DNS
        rebinding), and would not be foreign.
    """

    def __init__(self, app: Any, keys: Sequence[str], hosts: Sequence[str] = ()) -> None:
        self._app, self._hosts = app, hosts
        self._digests = [sha256(key.encode()).digest() for key in keys]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def watched(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            with anyio.move_on_after(SEND_S) as limit:
                await send(message)
            if limit.cancelled_caught:
                raise ClientDisconnect  # who takes nothing has as good as gone

        try:
            if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
                raise ApiError(431, f"a request may have {MAX_HEADER_BYTES} bytes of headers")
            if scope["path"] not in OPEN_PATHS and not self._knows(scope["headers"]):
                raise ApiError(401, "give a valid API key", code="invalid_api_key")
            headers = dict(scope["headers"])
            if _is_foreign(headers):
                raise ApiError(403, "pages of other sites may not use this server")
            if self._hosts and scope["path"] not in OPEN_PATHS:
                self._check_host(headers.get(b"host", b"").decode("latin-1"))
            await self._app(scope, receive, watched)
        except ApiError as error:
            await error.response()(scope, receive, watched)
        except ClientDisconnect:
            status = 499  # as proxies write it: nobody is there to answer to
        except Exception:
            logger.exception("a request failed")
            if status:
                raise
            await ApiError(500, "internal error").response()(scope, receive, watched)
        finally:
            millis = 1000 * (time.monotonic() - began)
            path = quote(scope["path"])
            logger.info("%s %s %d in %.0f ms", scope["method"], path, status, millis)

    def _knows(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Return whether a request brings a key; how long that takes tells nothing of the keys."""
        if not self._digests:
            return True
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        digest = sha256(key.strip()).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return scheme.lower() == b"bearer" and any(matches)

    def _check_host(self, given: str) -> None:
        """Refuse a name that is none of this server's; only programs send none."""
        try:
            name = (urlsplit(f"//{given}").hostname or "").removesuffix(".")
        except ValueError:
            name = given
        if given and not (name in self._hosts or _is_loopback(name)):
            raise ApiError(
                403, f"this server is not called {quote(name)}; --allow-host adds a name"
            )


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_foreign(headers: dict[bytes, bytes]) -> bool:
    """Return whether a browser sends this for a page of another site.

    Such a page needs no key to be tried.
    """
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"//")[2] != headers.get(b"host")
