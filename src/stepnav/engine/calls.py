"""A completion queue over plain functions: what a user's own policy or reward model runs on."""

from __future__ import annotations

import asyncio
import inspect
import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import Any

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendError, what_it_did

MAX_NESTED = 16
"""Calls of functions that may search, each within a search of the one before."""

_under_way: ContextVar[tuple[CallQueue, ...]] = ContextVar("under_way", default=())
"""The queues of the calls that this code runs in, outermost first."""


def is_coroutine(function: Any) -> bool:
    """Return whether what a function, or an object that can be called, returns is to be awaited."""
    call = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


class CallQueue:
    """Runs functions in the background and keeps their results until they are asked for.

    Coroutine functions run side by side on one event loop, which lives as long as the queue, so
    that a client of theirs may keep its connections. Other functions run one after the other, or on
    `workers` threads if they are safe there.

    Args:
      noun: what the functions are, for messages.
      workers: threads for functions that are no coroutines.
    """

    def __init__(self, noun: str, *, workers: int = 1) -> None:
        self._noun = noun
        self._workers = workers
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="stepnav-call")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[int, Future[Any]] = {}
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._left: set[int] = set()

    def submit(self, ticket: int, call: Callable[[], Any]) -> None:
        """Start a call, which sees the caller's context variables; returns at once."""
        if self._pid != os.getpid():  # a fork has none of the threads
            self._start()
        is_async = inspect.iscoroutinefunction(call)
        context, outer = copy_context(), _under_way.get()
        context.run(_under_way.set, (*outer, self))
        if "sniffio" in sys.modules:  # the caller's loop is not that of our threads
            context.run(sys.modules["sniffio"].current_async_library_cvar.set, None)
        future: Future[Any]
        if outer.count(self) > is_async or len(outer) >= MAX_NESTED:
            future = Future()
            future.set_exception(self._asks_itself())
        elif is_async:
            future = context.run(
                asyncio.run_coroutine_threadsafe, self._guarded(call), self._running_loop()
            )
        else:
            future = self._threads.submit(context.run, call)
        self._open[ticket] = future
        future.add_done_callback(lambda _: self._done.put(ticket))

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return what was answered; waits up to `timeout_s` if nothing was."""
        ready: list[tuple[int, Answer | BackendError]] = []
        try:
            if self._open and timeout_s > 0:
                self._take(ready, self._done.get(timeout=timeout_s))
            while True:
                self._take(ready, self._done.get_nowait())
        except queue.Empty:
            return ready

    def cancel(self, ticket: int) -> None:
        """Forget a call; one that has begun on a thread may ask `is_left`, else runs to its end."""
        future = self._open.pop(ticket, None)
        if future is not None and not future.cancel():
            self._left.add(ticket)

    def is_left(self, ticket: int) -> bool:
        """Return whether a call that has begun was forgotten: it need not go on."""
        return ticket in self._left

    def close(self) -> None:
        """Forget all calls and end the threads; may be called twice."""
        for ticket in list(self._open):
            self.cancel(ticket)
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _asks_itself(self) -> BackendError:
        return BackendError(
            f"the {self._noun} searches with itself, which would never end; give the searches that "
            "it makes other models",
            provider="function",
        )

    def _take(self, ready: list[tuple[int, Answer | BackendError]], ticket: int) -> None:
        self._left.discard(ticket)
        future = self._open.pop(ticket, None)
        if future is None:  # forgotten
            return
        if future.cancelled():
            error = BackendError(f"the {self._noun} was cancelled", provider="function")
            ready.append((ticket, error))
            return
        raised = future.exception()
        if raised is None:
            ready.append((ticket, future.result()))
        else:
            ready.append((ticket, self._error_of(raised)))

    def _error_of(self, raised: BaseException) -> BackendError:
        """Return the error for what a function raised; nothing of it may end who asked it."""
        if isinstance(raised, BackendError):
            return raised
        return BackendError(f"the {self._noun} {what_it_did(raised)}", provider="function")

    async def _guarded(self, call: Callable[[], Any]) -> Any:
        """Return what a coroutine function returns; nothing of it may end the others' loop."""
        try:
            return await call()
        except (SystemExit, KeyboardInterrupt) as error:
            raise self._error_of(error) from error

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_serve, args=(self._loop,), daemon=True).start()
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, then free it."""
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(BaseException):
            loop.run_until_complete(task)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
