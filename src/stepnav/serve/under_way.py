"""One request's search in the engine, and what it tells on its way."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

from starlette.requests import ClientDisconnect

from stepnav.core.outcome import SearchResult
from stepnav.core.tree import Node
from stepnav.serve.engine import Engine
from stepnav.serve.errors import ApiError, failed
from stepnav.serve.wanted import Wanted


class UnderWay:
    """A search that runs within its time; leaving the context leaves all that it has asked.

    Args:
      engine: runs it.
      wanted: the search.

    Attributes:
      was_left: whether it had not ended when it was left.
    """

    def __init__(self, engine: Engine, wanted: Wanted) -> None:
        self.was_left = False
        self._engine, self._wanted = engine, wanted
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[str | SearchResult | Exception] = asyncio.Queue()
        self._told: set[int] = set()
        self._failure: Exception | None = ClientDisconnect()  # until something is known

    def __enter__(self) -> UnderWay:
        wanted = self._wanted
        follow = self._follow if wanted.is_stream else None
        self._engine.add(replace(wanted.search, on_change=follow), self._tell)
        self._timer = self._loop.call_later(
            wanted.max_seconds, self._engine.hurry, wanted.search.id
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self.was_left = self._engine.cancel(self._wanted.search.id)

    async def next(self) -> str | SearchResult:
        """Return the text of the next step that is settled, or at the end the result.

        Raises:
          ApiError: the search failed.
        """
        news = await self._news.get()
        if isinstance(news, str):
            return news
        self._failure = None
        if isinstance(news, Exception):
            self._failure = ApiError(500, "internal error")
        elif news.error is not None:
            self._failure = failed(news.failure, news.error)
        self.check()
        assert isinstance(news, SearchResult), "all else has failed"
        return news

    def check(self) -> None:
        """Do nothing if the search has given its result.

        Raises:
          ApiError: it failed.
          ClientDisconnect: it was left before its end.
        """
        if self._failure is not None:
            raise self._failure

    async def result(self) -> SearchResult:
        """Return the result, once it is there.

        Raises:
          ApiError: the search failed.
        """
        while isinstance(news := await self.next(), str):
            pass
        return news

    def _follow(self, node: Node) -> None:
        """Tell each settled step once; called in the engine's thread with every change."""
        if node.is_settled and node.index not in self._told:
            self._told.add(node.index)
            self._tell(node.step.text)

    def _tell(self, news: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._news.put_nowait, news)
