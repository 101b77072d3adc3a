"""What stands before every request: API keys, errors made into responses, a log line."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from starlette.requests import ClientDisconnect

from stepnav.core.errors import quote
from stepnav.serve.errors import ApiError

OPEN_PATHS = frozenset({"/health"})

logger = logging.getLogger("stepnav")


class Gate:
    """Lets requests through that bring one of the keys; an ASGI application around another one.

    Args:
      app: what is behind it.
      keys: of which a request must bring one; none lets everybody in.
    """

    def __init__(self, app: Any, keys: Sequence[str]) -> None:
        self._app = app
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
            await send(message)

        try:
            if scope["path"] not in OPEN_PATHS and not self._knows(scope["headers"]):
                raise ApiError(401, "give a valid API key", code="invalid_api_key")
            if _is_foreign(dict(scope["headers"])):
                raise ApiError(403, "pages of other sites may not use this server")
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


def _is_foreign(headers: dict[bytes, bytes]) -> bool:
    """Return whether a browser sends this for a page of another site.

    Such a page needs no key to be tried.
    """
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"//")[2] != headers.get(b"host")
