"""Answers requests: by a search in the engine, or by the model server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from sse_starlette import ServerSentEvent

from stepnav.core.outcome import SearchResult
from stepnav.serve.engine import Engine
from stepnav.serve.errors import ApiError, failed
from stepnav.serve.house import House
from stepnav.serve.metrics import OPERATIONS, Metrics
from stepnav.serve.replies import whole
from stepnav.serve.requests import read_json, until_gone
from stepnav.serve.streaming import closing, event, events_response, follower, opening, step_event
from stepnav.serve.traces import Traces
from stepnav.serve.upstream import Upstream
from stepnav.serve.wanted import Kind, Passed, Wanted, decide


class Service:
    """The state of a running server: engine, connections, counters.

    Args:
      house: what is served; its models stay their owner's to close.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.metrics = Metrics()
        self.is_stopping = False
        self._traces = None if house.traces is None else Traces(house.traces, house.max_traces)
        self._kept: set[str] = set()
        self.engine = Engine(house.models, active=house.limits.active, keep=self._keep)
        self.upstream = None if house.server is None else Upstream(house.server)

    async def close(self) -> None:
        """End the engine and close the connections."""
        await asyncio.to_thread(self.engine.close)
        if self.upstream is not None:
            await self.upstream.close()

    def stop(self) -> None:
        """Take no more requests, and soon let searches end with what they have; from any thread."""
        if not self.is_stopping:
            self.is_stopping = True
            timer = threading.Timer(self.house.limits.grace_s, self.engine.hurry)
            timer.daemon = True
            timer.start()

    @property
    def num_passed(self) -> int:
        """How many requests are at the model server, those of searches not counted."""
        return 0 if self.upstream is None else self.upstream.num_open

    async def answer(self, kind: Kind, request: Request) -> Response:
        """Return the response to a request.

        Raises:
          ApiError: it cannot be answered.
          ClientDisconnect: nobody waits for it any more.
        """
        began = time.monotonic()
        raw = await read_json(request, self.house.limits)
        headers = {name: value for name, value in request.headers.items() if name.startswith("x-")}
        wanted = decide(self.house, kind, raw, headers)
        self._admit()
        model = self.house.model if isinstance(wanted, Passed) else wanted.model
        if isinstance(wanted, Wanted) and wanted.is_stream:
            if kind == "responses":
                raise ApiError(400, "streams of /v1/responses are not served", param="stream")
            return events_response(self._events(wanted, began), _headers(wanted))
        with self._timed(kind, model, began):
            if isinstance(wanted, Passed):
                assert self.upstream is not None, "only a model server is passed requests"
                own = {"X-Stepnav-Search": "none"}
                if wanted.reason is not None:
                    own["X-Stepnav-Unsearched"] = wanted.reason
                return await self.upstream.forward(request, kind, raw, own)
            result = await until_gone(request, self._search(wanted))
            return JSONResponse(whole(wanted, result, int(time.time())), headers=_headers(wanted))

    def _admit(self) -> None:
        """Refuse a request where there is no room for it."""
        limits, num_open = self.house.limits, self.engine.num_open + self.num_passed
        if self.is_stopping:
            self.metrics.refused.inc()
            raise ApiError(503, "the server stops", code="stopping", headers={"Retry-After": "1"})
        if num_open >= limits.active + limits.queue:
            self.metrics.refused.inc()
            wait_s = max(1, min(60, num_open // limits.active))
            raise ApiError(
                429, f"{num_open} requests are open, and no more are taken; try again in {wait_s} s",
                code="queue_full", headers={"Retry-After": str(wait_s)},
            )  # fmt: skip

    async def _search(self, wanted: Wanted) -> SearchResult:
        """Return a finished search; cancelling this leaves it."""
        future: asyncio.Future[SearchResult] = asyncio.get_running_loop().create_future()

        def done(result: SearchResult | Exception) -> None:
            if not future.done():
                _settle(future, result)

        with self._running(wanted, None, done):
            result = await future
        return self._checked(wanted, result)

    async def _events(self, wanted: Wanted, began: float) -> AsyncIterator[ServerSentEvent]:
        created, queue = int(time.time()), asyncio.Queue[Any]()
        with (
            self._timed(wanted.kind, wanted.model, began),
            self._running(wanted, queue.put_nowait, queue.put_nowait),
        ):
            for item in opening(wanted, created):
                yield item
            is_first = True
            while True:
                news = await queue.get()
                if isinstance(news, str):
                    told = step_event(wanted, created, news)
                    if told is None:
                        continue
                    news = [told]
                else:
                    news = self._last_events(wanted, created, news)
                if is_first:
                    self.metrics.first.labels(OPERATIONS[wanted.kind], wanted.model).observe(
                        time.monotonic() - began
                    )
                    is_first = False
                for item in news:
                    yield item
                if not isinstance(news, list):
                    return

    def _last_events(
        self, wanted: Wanted, created: int, result: SearchResult | Exception
    ) -> Iterator[ServerSentEvent]:
        try:
            if isinstance(result, Exception):
                raise ApiError(500, "internal error")
            yield from closing(wanted, created, self._checked(wanted, result))
        except ApiError as error:
            yield event(error.body())
            yield event("[DONE]")

    @contextlib.contextmanager
    def _running(
        self, wanted: Wanted, tell: Callable[[str], None] | None, done: Callable[[Any], None]
    ) -> Iterator[None]:
        """Have a search run, within its time; leaving early leaves it."""
        loop = asyncio.get_running_loop()

        def call(function: Callable[[Any], None], value: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(function, value)

        search = wanted.search
        if tell is not None:
            search = replace(search, on_change=follower(lambda text: call(tell, text)))
        if wanted.keeps_trace:
            self._kept.add(search.id)
        self.engine.add(search, lambda result: call(done, result))
        timer = loop.call_later(wanted.max_seconds, self.engine.hurry, search.id)
        try:
            yield
        finally:
            timer.cancel()
            self._kept.discard(search.id)
            if self.engine.cancel(search.id):
                self.metrics.left.inc()

    def _checked(self, wanted: Wanted, result: SearchResult) -> SearchResult:
        self.metrics.add(wanted.kind, wanted.model, result)
        if result.error is not None:
            raise failed(result.failure, result.error)
        return result

    def _keep(self, result: SearchResult) -> None:
        if self._traces is not None and result.search_id in self._kept:
            self._traces.add(result)

    @contextlib.contextmanager
    def _timed(self, kind: Kind, model: str, began: float) -> Iterator[None]:
        error_type = "cancelled"
        try:
            yield
            error_type = ""
        except ApiError as error:
            error_type = str(error.status)
            raise
        finally:
            seconds = time.monotonic() - began
            self.metrics.duration.labels(OPERATIONS[kind], model, error_type).observe(seconds)


def _settle(future: asyncio.Future[SearchResult], result: SearchResult | Exception) -> None:
    if isinstance(result, Exception):
        future.set_exception(ApiError(500, "internal error"))
    else:
        future.set_result(result)


def _headers(wanted: Wanted) -> dict[str, str]:
    found = {"X-Stepnav-Search": wanted.search.strategy.name if wanted.is_searched else "none"}
    if wanted.ignored:
        named = [name for name in wanted.ignored if re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII)]
        found["X-Stepnav-Ignored"] = ",".join(named[:32])
    return found
