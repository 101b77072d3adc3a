"""Work spread over a Ray cluster: each worker always holds some items, a dead one's go to others.

Nothing of a worker is lost but what it had under way, if what it has come to is on a disk that the
command sees. What an item is, and what doing it gives, is the caller's.
"""

from __future__ import annotations

import os
import queue
import secrets
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepnav.core.compute import prepare
from stepnav.core.errors import BackendError, ConfigError, StepnavError, one_line
from stepnav.run.cluster import Cluster, connected

Work = Callable[[Iterator[Any]], Iterator[Any]]
"""Does the items of a feed, which gives None where there is nothing to do for now, and yields what
comes of each; values are pickled."""
Open = Callable[[str], AbstractContextManager[Work]]
"""Opens what the work needs, in the worker of this name; it is pickled, and must be a function of a
module."""

WAIT_S = 0.5
"""Longest wait at once, so that Ctrl-C is noticed."""
KEPT_S = 30.0
"""So long after the first worker the others' parts are kept for them."""
START_S = 300.0
"""So long no worker may start before the run is given up."""
MAX_DEATHS = 5
"""So many workers may die over one item, or before they began."""
PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Job:
    """What is spread.

    Attributes:
      open: see `Open`.
      keys: of the items; what is `ready` of one may change when a worker has died.
      ready: an item as a worker is given it; it is pickled.
      key_of: which item a value is of; one value ends an item.
      settle: called with a worker's name when it has ended or died, before its items go to others;
        returns the values of items that it had done, told or not.
      ahead: most items that a worker holds at once.
    """

    open: Open
    keys: Sequence[Any]
    ready: Callable[[Any], Any]
    key_of: Callable[[Any], Any]
    settle: Callable[[str], Iterable[Any]]
    ahead: int


def spread(cluster: Cluster, job: Job) -> Generator[Any, None, None]:
    """Yield what workers make of a job's items, of each once, as it comes.

    Args:
      cluster: the workers.
      job: what they do.
    Raises:
      ConfigError: there is no such cluster, or its workers lack the package.
      BackendError: no worker starts, or workers die over the same item again and again.
      StepnavError: as the work raised it.
    """
    with connected(cluster) as ray:
        yield from _Pool(ray, cluster, job).run()


class Feed:
    """Items as a worker is given them; `put` may be called in another thread."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()

    def put(self, items: Iterable[Any] | None) -> None:
        """Add items; None says that no more will come."""
        self._items.put(None if items is None else tuple(items))

    def __iter__(self) -> Iterator[Any]:
        """Yield the items, waiting for the first; later, None where there is none for now."""
        items = self._items.get()
        while items is not None:
            yield from items
            try:
                items = self._items.get_nowait()
            except queue.Empty:
                yield None
                items = ()


class _Worker:
    """What runs in a worker; it opens the work when that begins, so that errors come as its own."""

    def __init__(self, open_work: Open, folder: str) -> None:
        prepare()
        self._open, self._folder = open_work, folder
        self._feed = Feed()

    def is_there(self) -> bool:
        return True

    def give(self, items: Sequence[Any] | None) -> None:
        self._feed.put(items)

    def work(self, name: str) -> Iterator[Any]:
        _enter(self._folder)
        with self._open(name) as work:
            yield from work(iter(self._feed))


def _enter(folder: str) -> None:
    """Go to the folder of the command, so that names of files mean the same here."""
    try:
        os.chdir(folder)
    except OSError:
        raise ConfigError(
            f"the worker on {socket.gethostname()} sees no folder {folder}; start from a folder on "
            "a file system that all nodes share, with the run folder in it"
        ) from None


@dataclass(slots=True)
class _Hand:
    """A worker at work: its name, and the items that it holds."""

    worker: Any
    name: str
    held: dict[Any, None] = field(default_factory=dict)


class _Pool:
    """Workers, and the items that none has been given yet."""

    def __init__(self, ray: Any, cluster: Cluster, job: Job) -> None:
        self._ray, self._cluster, self._job = ray, cluster, job
        resources = {"num_cpus": cluster.cpus, "num_gpus": cluster.gpus}
        if cluster.environment:
            resources["runtime_env"] = {"env_vars": dict(cluster.environment)}  # type: ignore[assignment]
        # threads: one does the work, another takes what is given meanwhile
        self._actor = ray.remote(_Worker).options(**resources, max_concurrency=2)
        self._left = dict.fromkeys(job.keys)
        self._waiting = deque(job.keys)
        self._size = min(cluster.workers, len(job.keys))
        self._starting: dict[Any, Any] = {}
        self._hands: dict[Any, _Hand] = {}
        self._num_begun = 0
        self._began_s = 0.0
        self._deaths: Counter[Any] = Counter()
        self._patience_s = START_S

    def run(self) -> Iterator[Any]:
        """Yield the values of all items, then let the workers close what they opened."""
        for _ in range(self._size):
            self._start()
        while self._left:
            self._give()
            yield from self._next_values()
            self._check_patience()
        self._starting.clear()
        for hand in self._hands.values():
            hand.worker.give.remote(None)
        while self._hands:
            yield from self._next_values()

    def _start(self) -> None:
        worker = self._actor.remote(self._job.open, str(Path.cwd()))
        self._starting[worker.is_there.remote()] = worker

    def _begin(self, ref: Any) -> None:
        worker = self._starting.pop(ref)
        try:
            self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            self._mourn([None], error)
            return
        self._began_s = self._began_s or time.monotonic()
        name = f"{self._num_begun:05}-{secrets.token_hex(4)}"
        self._num_begun += 1
        stream = worker.work.options(num_returns="streaming").remote(name)
        self._hands[stream] = _Hand(worker, name)

    def _give(self) -> None:
        """Give each worker items until it holds its share of what is left, or `ahead` of them."""
        are_all_here = time.monotonic() - self._began_s > KEPT_S  # the cluster has no room for more
        parts = max(1, len(self._hands)) if are_all_here else self._size
        share = min(self._job.ahead, -(-len(self._left) // parts))
        for hand in self._hands.values():
            if self._waiting and len(hand.held) <= share - max(1, share // 8):  # in small packs
                pack = [
                    self._waiting.popleft()
                    for _ in range(min(share - len(hand.held), len(self._waiting)))
                ]
                hand.held.update(dict.fromkeys(pack))
                hand.worker.give.remote([self._job.ready(key) for key in pack])

    def _next_values(self) -> Iterator[Any]:
        ready, _ = self._ray.wait([*self._starting, *self._hands], timeout=WAIT_S)
        for found in ready:
            if found in self._starting:
                self._begin(found)
            else:
                yield from self._take(found)

    def _take(self, stream: Any) -> Iterator[Any]:
        """Yield the next value of a worker, or see to its end."""
        hand = self._hands[stream]
        try:
            value = self._ray.get(next(stream))
        except StopIteration:
            yield from self._end(stream)
            return
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, (StepnavError, OSError)):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:  # the worker or its machine is gone
            yield from self._end(stream)
            if self._left:
                self._mourn([*hand.held], error)
            return
        yield from self._tell(hand, value)

    def _tell(self, hand: _Hand, value: Any) -> Iterator[Any]:
        key = self._job.key_of(value)
        hand.held.pop(key, None)
        if key in self._left:
            del self._left[key]
            yield value

    def _end(self, stream: Any) -> Iterator[Any]:
        """Settle what a worker has done, and put what it has not before all that waits."""
        hand = self._hands.pop(stream)
        for value in self._job.settle(hand.name):
            yield from self._tell(hand, value)
        self._waiting.extendleft(reversed(hand.held))

    def _mourn(self, keys: Sequence[Any], error: Exception) -> None:
        """Count a dead worker, and start another."""
        if f"No module named '{PACKAGE}'" in str(error):
            raise ConfigError(
                f"the workers of the cluster lack {PACKAGE}: install the same version in the "
                "environment in which Ray runs on every node"
            )
        self._deaths.update(keys)
        if any(self._deaths[key] >= MAX_DEATHS for key in keys):
            where = "before they began" if keys == [None] else "over the same work"
            raise BackendError(f"{MAX_DEATHS} workers died {where}, the last: {one_line(error)}")
        self._start()

    def _check_patience(self) -> None:
        """Give up where no worker starts and none works."""
        self._patience_s = START_S if self._hands else self._patience_s - WAIT_S
        if self._patience_s < 0:
            found = self._ray.cluster_resources()
            there = ", ".join(f"{found.get(name, 0):g} {name}s" for name in ("CPU", "GPU"))
            raise BackendError(
                f"no worker has started in {START_S:.0f} s: each needs {self._cluster.cpus:g} CPUs "
                f"and {self._cluster.gpus:g} GPUs, the cluster has {there}"
            )
