"""Reading requests within bounds, and noticing that their clients have gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from stepnav.remote.body import load_json
from stepnav.serve.errors import ApiError
from stepnav.serve.house import Limits

T = TypeVar("T")


async def read_json(request: Request, limits: Limits) -> Any:
    """Return a request's body, parsed.

    Raises:
      ApiError: it is too long, comes too slowly, or is no JSON.
    """
    try:
        content = await asyncio.wait_for(_read(request, limits), limits.body_timeout_s)
    except TimeoutError:
        message = f"the body did not come within {limits.body_timeout_s:g} s"
        raise ApiError(408, message, headers={"Connection": "close"}) from None
    try:
        return load_json(content.decode())
    except (ValueError, UnicodeError) as error:
        raise ApiError(400, f"the body is not JSON ({error})", code="invalid_json") from None


async def _read(request: Request, limits: Limits) -> bytes:
    most = limits.max_body_bytes
    content = bytearray()
    declared = request.headers.get("content-length", "")
    if not (declared.isdecimal() and int(declared[:18]) > most):
        async for piece in request.stream():
            content += piece
            if len(content) > most:
                break
        else:
            return bytes(content)
    raise ApiError(413, f"the body is longer than {most} bytes", headers={"Connection": "close"})


async def until_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what comes of some work, which is cancelled if the client goes away first.

    Raises:
      ClientDisconnect: it did.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return await task
    finally:
        for other in (task, gone):
            other.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Return when the client has gone; its body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
