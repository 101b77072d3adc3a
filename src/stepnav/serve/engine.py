"""The driver in a thread of its own, which takes searches and calls back with results."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from stepnav.core.backend import Backend
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
    """

    def __init__(
        self,
        models: Mapping[str, Backend],
        *,
        active: int,
        keep: Callable[[SearchResult], None] | None = None,
    ) -> None:
        self._models, self._active, self._keep = models, active, keep
        self._waiting: dict[str, Done] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        self._driver = self._new_driver()
        self._thread = threading.Thread(target=self._run, name="searches", daemon=True)
        self._thread.start()

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
        return Driver(self._models, max_active=self._active, fails_alone=True)

    def _run(self) -> None:
        while not self._is_closed:
            try:
                results = self._driver.step(STEP_S if self._waiting else IDLE_S)
                for result in results:
                    self._finish(result)
            except (
                Exception
            ) as error:  # a defect of ours: whoever waits is told, the server goes on
                logger.exception("the engine failed and starts again without its searches")
                self._start_again(error)

    def _finish(self, result: SearchResult) -> None:
        with self._lock:
            done = self._waiting.pop(result.search_id, None)
        if done is not None:
            if self._keep is not None:
                self._keep(result)
            done(result)

    def _start_again(self, error: Exception) -> None:
        with self._lock:
            broken, self._driver = self._driver, self._new_driver()
            waiting = list(self._waiting.values())
            self._waiting.clear()
        broken.close()
        for done in waiting:
            done(error)
