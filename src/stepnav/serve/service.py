"""Answers requests: by a search in the engine, or by the model server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from sse_starlette import ServerSentEvent

from stepnav.core.outcome import SearchResult
from stepnav.run.traces import Traces
from stepnav.serve.engine import Engine
from stepnav.serve.errors import ApiError, stopping
from stepnav.serve.house import House
from stepnav.serve.metrics import OPERATIONS, Metrics
from stepnav.serve.replies import whole
from stepnav.serve.requests import read_json, until_gone
from stepnav.serve.routing import Passed, decide
from stepnav.serve.spans import Spans
from stepnav.serve.streaming import EventStream, closing, failing, opening, step_events
from stepnav.serve.under_way import UnderWay
from stepnav.serve.upstream import Upstream
from stepnav.serve.wanted import Endpoint, Wanted

COUNT_S = 1.0
"""So often a process notes what is open in it, since another one may be asked for /metrics."""


@dataclass(slots=True)
class _Outcome:
    """The status that a request was answered with."""

    status: int = 200


class Service:
    """The state of a running server: engine, connections, counters.

    Args:
      house: what is served; its models stay their owner's to close.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.metrics = Metrics(house.model)
        self.spans = Spans()
        self.is_stopping = False
        self._traces = None if house.traces is None else Traces(house.traces, house.max_traces)
        self._kept: set[str] = set()
        self.engine = Engine(
            house.models,
            active=house.limits.active,
            keep=self._keep,
            on_left=self.metrics.add_usage,
        )
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
            timer = threading.Timer(self.house.limits.grace_s, self._hurry)
            timer.daemon = True
            timer.start()

    def _hurry(self) -> None:
        """End what is still open after the grace."""
        self.engine.hurry()
        if self.upstream is not None:
            self.upstream.hurry()

    @property
    def num_passed(self) -> int:
        """How many requests are at the model server, those of searches not counted."""
        return 0 if self.upstream is None else self.upstream.num_open

    def count_open(self) -> None:
        """Note for /metrics what is open now."""
        num_open, active = self.engine.num_open, self.house.limits.active
        running = min(num_open, active)
        self.metrics.set_open(running=running, waiting=num_open - running, passed=self.num_passed)

    async def keep_counting(self) -> None:
        """Note what is open, again and again, until this is cancelled."""
        while True:
            self.count_open()
            await asyncio.sleep(COUNT_S)

    async def answer(self, kind: Endpoint, request: Request) -> Response:
        """Return the response to a request.

        Raises:
          ApiError: it cannot be answered.
          ClientDisconnect: nobody waits for it any more.
        """
        began = time.monotonic()
        raw = await read_json(request, self.house.limits)
        headers = {name: value for name, value in request.headers.items() if name.startswith("x-")}
        wanted = decide(self.house, kind, raw, headers)
        self._admit()  # nothing else runs until the request is counted: in the engine or upstream
        model = self.house.model if isinstance(wanted, Passed) else wanted.model
        timed = self._timed(kind, model, began)
        if isinstance(wanted, Passed):
            assert self.upstream is not None, "only a model server is passed requests"
            own = {"X-Stepnav-Search": "none"}
            if wanted.reason is not None:
                own["X-Stepnav-Unsearched"] = wanted.reason
            on_first = partial(self._note_first, kind, model, began)
            with contextlib.ExitStack() as stack:
                outcome = stack.enter_context(timed)
                response = await self.upstream.forward(
                    request, kind, raw, own, stack=stack, on_first=on_first
                )
                outcome.status = response.status_code
                return response
        if wanted.is_stream:
            with contextlib.ExitStack() as stack:
                stack.enter_context(timed)
                search = stack.enter_context(self._under_way(wanted))
                events = self._events(wanted, search, began)
                return EventStream(events, _headers(wanted), stack.pop_all(), search.check)
        with timed, self._under_way(wanted) as search:
            result = await until_gone(request, search.result())
            return JSONResponse(whole(wanted, result, int(time.time())), headers=_headers(wanted))

    def _admit(self) -> None:
        """Refuse a request where there is no room for it."""
        limits, num_open = self.house.limits, self.engine.num_open + self.num_passed
        if self.is_stopping:
            self.metrics.refused.inc()
            raise stopping()
        if num_open >= limits.active + limits.queue:
            self.metrics.refused.inc()
            wait_s = max(1, min(60, num_open // limits.active))
            raise ApiError(
                429, f"{num_open} requests are open, and no more are taken; try again in {wait_s} "
                     "s",
                code="queue_full", headers={"Retry-After": str(wait_s)},
            )  # fmt: skip

    @contextlib.contextmanager
    def _under_way(self, wanted: Wanted) -> Iterator[UnderWay]:
        if wanted.keeps_trace:
            self._kept.add(wanted.search.id)
        search = UnderWay(self.engine, wanted)
        try:
            with self.spans.of(OPERATIONS[wanted.kind], wanted), search:
                yield search
        finally:
            self._kept.discard(wanted.search.id)
            if search.was_left:
                self.metrics.left.inc()

    async def _events(
        self, wanted: Wanted, search: UnderWay, began: float
    ) -> AsyncIterator[ServerSentEvent]:
        created = int(time.time())
        for item in opening(wanted, created):
            yield item
        is_first, is_last = True, False
        while not is_last:
            try:
                news = await search.next()
                is_last = not isinstance(news, str)
                items = (
                    step_events(wanted, created, news)
                    if isinstance(news, str)
                    else closing(wanted, created, news, is_told=not is_first)
                )
            except ApiError as error:
                items, is_last = failing(wanted, error), True
            for item in items:
                if is_first:
                    self._note_first(wanted.kind, wanted.model, began)
                    is_first = False
                yield item

    def _note_first(self, kind: Endpoint, model: str, began: float) -> None:
        """Note how long the first text of a stream took."""
        self.metrics.first.labels(OPERATIONS[kind], model).observe(time.monotonic() - began)

    def _keep(self, result: SearchResult) -> None:
        self.metrics.add(result)
        self.spans.tell(result)
        if self._traces is not None and result.search_id in self._kept:
            self._traces.add(result)

    @contextlib.contextmanager
    def _timed(self, kind: Endpoint, model: str, began: float) -> Iterator[_Outcome]:
        outcome, error_type = _Outcome(), "cancelled"
        try:
            yield outcome
            error_type = str(outcome.status) if outcome.status >= 400 else ""
        except ApiError as error:
            error_type = str(error.status)
            raise
        finally:
            seconds = time.monotonic() - began
            self.metrics.duration.labels(OPERATIONS[kind], model, error_type).observe(seconds)


def _headers(wanted: Wanted) -> dict[str, str]:
    found = {"X-Stepnav-Search": wanted.search.strategy.name if wanted.is_searched else "none"}
    if wanted.ignored:
        named = [name for name in wanted.ignored if re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII)]
        found["X-Stepnav-Ignored"] = ",".join(named[:32])
    return found
