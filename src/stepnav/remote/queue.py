"""A completion queue over calls to a server, which run side by side on one event loop.

The loop has a thread of its own; two queues connect it to whoever polls.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import queue
import threading
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar, Union

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendDown, BackendError, ConfigError
from stepnav.remote.connection import Connection

Result = Union[Answer, BackendError]
T = TypeVar("T")


class CallsToServer:
    """Runs calls in the background and keeps their results until they are asked for.

    Args:
      connection: closed with the queue.
      noun: what is on the server, for messages.
    Raises:
      ConfigError: httpx is not installed.
    """

    def __init__(self, connection: Connection, noun: str) -> None:
        if importlib.util.find_spec("httpx") is None:
            raise ConfigError(f"the {noun} needs httpx: pip install 'stepnav[openai]'")
        self._connection = connection
        self._noun = noun
        self._start_loop()

    @property
    def _is_forked(self) -> bool:
        """Whether this process is a fork: thread and connections are those of another one."""
        return self._pid != os.getpid()

    def _start_loop(self) -> None:
        self._pid = os.getpid()
        self._done: queue.SimpleQueue[tuple[int, Result | Exception]] = queue.SimpleQueue()
        self._open: dict[int, Future[None]] = {}
        self._held: list[tuple[int, Result]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai", daemon=True)
        self._thread.start()

    @property
    def http_requests(self) -> int:
        """HTTP requests sent so far, those of the probes and retries included."""
        return self._connection.requests

    @property
    def http_retries(self) -> int:
        """How many of them repeated a failed one."""
        return self._connection.retries

    def poll(self, timeout_s: float) -> list[tuple[int, Result]]:
        """Return what was answered; waits up to `timeout_s` if nothing was.

        A `BackendDown` comes in a poll of its own, after all that was answered before it.
        """
        ready: list[tuple[int, Result]] = []
        try:
            if timeout_s > 0 and self._open and not self._held:
                self._take(ready, *self._done.get(timeout=timeout_s))
            while True:
                self._take(ready, *self._done.get_nowait())
        except queue.Empty:
            pass
        if ready:
            return ready
        down, self._held = self._held, []
        return down

    def cancel(self, ticket: int) -> None:
        """Forget a request and hang up on the server."""
        future = self._open.pop(ticket, None)
        if future is not None:
            future.cancel()

    def close(self) -> None:
        """Cancel what is open, close the connections, end the thread; may be called twice."""
        if self._loop.is_closed() or self._is_forked:
            return
        self._open.clear()
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _take(
        self, ready: list[tuple[int, Result]], ticket: int, result: Result | Exception
    ) -> None:
        """Sort one finished request; drops cancelled ones."""
        if self._open.pop(ticket, None) is None:
            return
        if isinstance(result, BackendDown):
            self._held.append((ticket, result))
        elif isinstance(result, (Answer, BackendError)):
            ready.append((ticket, result))
        else:
            raise result

    def _start(self, ticket: int, work: Coroutine[Any, Any, Answer]) -> None:
        """Begin a call; returns at once."""
        if self._loop.is_closed():
            work.close()
            raise RuntimeError(f"the {self._noun} was closed")
        if self._is_forked:
            self._start_loop()
            self._call(self._connection.open())
        serving = self._serve(ticket, work)
        self._open[ticket] = asyncio.run_coroutine_threadsafe(serving, self._loop)

    async def _serve(self, ticket: int, work: Coroutine[Any, Any, Answer]) -> None:
        result: Result | Exception
        try:
            result = await work
        except Exception as error:  # a bug of ours is raised again in poll
            result = error
        self._done.put((ticket, result))

    async def _shut(self) -> None:
        own = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of a coroutine run in the background thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return all results in order; if one call fails, the others are cancelled and waited for."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
