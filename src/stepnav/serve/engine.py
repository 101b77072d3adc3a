"""The driver in a thread of its own, which takes searches and calls back with results."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping

from stepnav.core.backend import Backend
from stepnav.core.budget import Usage
from stepnav.core.errors import one_line
from stepnav.core.outcome import SearchResult
from stepnav.run.driver import Driver
from stepnav.run.search import Search

logger = logging.getLogger("stepnav")

STEP_S = 0.02
"""Longest wait of a step while searches run: a new one waits so long at most."""

IDLE_S = 0.5

Done = Callable[[SearchResult | Exception], None]


class Engine:
    """Runs searches together, so that their requests share the models' batches.

    Args:
      models: name -> backend.
      active: searches that run at once.
      keep: called in the engine's thread with each finished search, before who waits for it.
      on_left: called there with what a search has spent that was left before its end.
    """

    def __init__(
        self,
        models: Mapping[str, Backend],
        *,
        active: int,
        keep: Callable[[SearchResult], None] | None = None,
        on_left: Callable[[Usage], None] | None = None,
    ) -> None:
        self._models, self._active, self._keep = models, active, keep
        self._on_left = on_left
        self._waiting: dict[str, Done] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        self._driver = self._new_driver()
        self._thread = threading.Thread(target=self._run, name="searches", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs; without it no search comes to an end."""
        return self._thread.is_alive()

    @property
    def num_open(self) -> int:
        """How many searches were added and have not ended."""
        return len(self._waiting)

    def add(self, search: Search, done: Done) -> None:
        """Take a search, from any thread; `done` is called in the engine's with the outcome."""
        with self._lock:
            self._waiting[search.id] = done
            self._driver.add(search)

    def cancel(self, search_id: str) -> bool:
        """Leave a search and what it has asked, from any thread; return whether it was open."""
        with self._lock:
            was_open = self._waiting.pop(search_id, None) is not None
            if was_open:
                self._driver.cancel(search_id)
        return was_open

    def hurry(self, search_id: str | None = None) -> None:
        """Let a search, or all of them, end with the best so far, from any thread."""
        self._driver.hurry(search_id)

    def close(self) -> None:
        """Leave all searches and end the thread."""
        self._is_closed = True
        self._driver.hurry()  # wakes it
        self._thread.join()
        self._driver.close()

    def _new_driver(self) -> Driver:
        return Driver(
            self._models, max_active=self._active, fails_alone=True, on_left=self._tell_left
        )

    def _tell_left(self, search_id: str, spent: Usage) -> None:
        if self._on_left is not None:
            self._on_left(spent)

    def _run(self) -> None:
        while not self._is_closed:
            try:
                results = self._driver.step(STEP_S if self._waiting else IDLE_S)
                for result in results:
                    self._finish(result)
            # A defect of ours, or a strategy that would end the process: the server goes on.
            except BaseException as error:
                logger.exception("the engine failed and starts again without its searches")
                self._start_again(error)

    def _finish(self, result: SearchResult) -> None:
        with self._lock:
            done = self._waiting.pop(result.search_id, None)
        if done is None:
            self._tell_left(result.search_id, result.usage)
            return
        try:
            if self._keep is not None:
                self._keep(result)
        except BaseException:  # no reason not to answer
            logger.exception("a finished search was not kept")
        done(result)

    def _start_again(self, error: BaseException) -> None:
        with self._lock:
            broken, self._driver = self._driver, self._new_driver()
            waiting = list(self._waiting.values())
            self._waiting.clear()
        told = error if isinstance(error, Exception) else RuntimeError(one_line(error))
        for done in waiting:
            done(told)
        with contextlib.suppress(BaseException):  # what broke it may break its end too
            broken.close()
