"""Work in chunks on a Ray cluster: each worker is given one after another, a dead one's to another.

Nothing of a worker is lost but what it had under way, if what its chunk has come to is on a disk
that the others see. What a chunk is, and what doing it gives, is the caller's.
"""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from stepnav.core.compute import prepare
from stepnav.core.errors import BackendError, ConfigError, StepnavError, one_line

T = TypeVar("T")
Work = Callable[[Any], Iterator[Any]]
"""Does a chunk, and yields what comes of it; values are pickled."""
Open = Callable[[], AbstractContextManager[Work]]
"""Opens what the work needs, in the worker; it is pickled, and must be a function of a module."""

WAIT_S = 0.5
"""Longest wait at once, so that Ctrl-C is noticed."""
START_S = 300.0
"""So long no worker may start before the run is given up."""
CONNECT_S = 5.0
DISMISS_S = 5.0
MAX_DEATHS = 5
"""So many workers may die over one chunk, or before they began."""
PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which workers do the work.

    Attributes:
      address: HOST:PORT of a Ray cluster, "auto" for this machine's, "local" for one of our own.
      workers: how many, at most.
      cpus, gpus: of each worker; may be parts of one.
      environment: variables that workers get, for instance API keys.
    """

    address: str
    workers: int
    cpus: float = 1.0
    gpus: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """Comes after the last value of a chunk."""


def cut(items: Sequence[T], workers: int, *, least: int, most: int) -> list[list[T]]:
    """Return chunks of items, the later the smaller, so that all workers end at about one time.

    A chunk is half of a worker's share of what is left (guided self-scheduling, Polychronopoulos
    and Kuck 1987, https://doi.org/10.1109/TC.1987.5009495; there it is the whole share).

    Example:
      >>> [len(chunk) for chunk in cut(range(100), 2, least=8, most=64)]
      [25, 19, 14, 11, 8, 8, 8, 7]
    """
    chunks = []
    place = 0
    while place < len(items):
        share = -(-(len(items) - place) // (2 * workers))
        size = min(max(share, least), most)
        chunks.append(list(items[place : place + size]))
        place += size
    return chunks


def spread(
    cluster: Cluster, open_work: Open, chunks: Sequence[T]
) -> Generator[tuple[T, Any], None, None]:
    """Yield what workers make of chunks, as it comes: the chunk, and a value or `Done`.

    A chunk whose worker died is given to another from its beginning, so values may come twice.

    Args:
      cluster: the workers.
      open_work: called in each of them.
      chunks: they are pickled.
    Raises:
      ConfigError: there is no such cluster, or its workers lack the package.
      BackendError: no worker starts, or workers die over the same chunk again and again.
      StepnavError: as the work raised it.
    """
    with _connected(cluster) as ray:
        pool = _Pool(ray, cluster, open_work, chunks)
        for number, value in pool.run():
            yield chunks[number], value
        pool.dismiss()


class _Worker:
    """What runs in a worker; opened with its first chunk, so that errors come as the work's."""

    def __init__(self, open_work: Open, folder: str) -> None:
        prepare()
        self._open, self._folder = open_work, folder
        self._stack = ExitStack()
        self._work: Work | None = None

    def is_there(self) -> bool:
        return True

    def work(self, chunk: Any) -> Iterator[Any]:
        if self._work is None:
            _enter(self._folder)
            self._work = self._stack.enter_context(self._open())
        yield from self._work(chunk)

    def close(self) -> None:
        self._stack.close()


def _enter(folder: str) -> None:
    """Go to the folder of the command, so that names of files mean the same here."""
    try:
        os.chdir(folder)
    except OSError:
        raise ConfigError(
            f"the worker on {socket.gethostname()} sees no folder {folder}; start from a folder on "
            "a file system that all nodes share, with the run folder in it"
        ) from None


class _Pool:
    """Workers and chunks; chunks are known by their numbers."""

    def __init__(self, ray: Any, cluster: Cluster, open_work: Open, chunks: Sequence[Any]) -> None:
        self._ray, self._cluster, self._chunks = ray, cluster, chunks
        self._arguments = (open_work, str(Path.cwd()))
        resources = {"num_cpus": cluster.cpus, "num_gpus": cluster.gpus}
        if cluster.environment:
            resources["runtime_env"] = {"env_vars": dict(cluster.environment)}  # type: ignore[assignment]
        self._actor = ray.remote(_Worker).options(**resources)
        self._waiting = deque(range(len(chunks)))
        self._starting: dict[Any, Any] = {}
        self._working: dict[Any, tuple[Any, int]] = {}
        self._idle: list[Any] = []
        self._deaths: dict[int | None, int] = {}
        self._patience_s = START_S

    def run(self) -> Iterator[tuple[int, Any]]:
        """Yield (number of the chunk, value) until all are done."""
        for _ in range(min(self._cluster.workers, len(self._chunks))):
            self._start()
        while self._waiting or self._working:
            while self._idle and self._waiting:
                worker, number = self._idle.pop(), self._waiting.popleft()
                stream = worker.work.options(num_returns="streaming").remote(self._chunks[number])
                self._working[stream] = (worker, number)
            ready, _ = self._ray.wait([*self._starting, *self._working], timeout=WAIT_S)
            for found in ready:
                if found in self._starting:
                    self._begin(found)
                else:
                    yield from self._take(found)
            self._check_patience()

    def dismiss(self) -> None:
        """Let the workers close what they opened."""
        closing = [worker.close.remote() for worker in self._idle]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=DISMISS_S)

    def _start(self) -> None:
        worker = self._actor.remote(*self._arguments)
        self._starting[worker.is_there.remote()] = worker

    def _begin(self, ref: Any) -> None:
        worker = self._starting.pop(ref)
        try:
            self._ray.get(ref)
            self._idle.append(worker)
        except self._ray.exceptions.RayError as error:
            self._mourn(None, error)

    def _take(self, stream: Any) -> Iterator[tuple[int, Any]]:
        """Yield the next value of a chunk, or see to its end."""
        worker, number = self._working[stream]
        try:
            value = self._ray.get(next(stream))
        except StopIteration:
            del self._working[stream]
            self._idle.append(worker)
            value = Done()
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, (StepnavError, OSError)):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:  # the worker or its machine is gone
            del self._working[stream]
            self._waiting.appendleft(number)
            self._mourn(number, error)
            return
        yield number, value

    def _mourn(self, number: int | None, error: Exception) -> None:
        """Count a dead worker, and start another."""
        if f"No module named '{PACKAGE}'" in str(error):
            raise ConfigError(
                f"the workers of the cluster lack {PACKAGE}: install the same version in the "
                "environment in which Ray runs on every node"
            )
        self._deaths[number] = self._deaths.get(number, 0) + 1
        if self._deaths[number] >= MAX_DEATHS:
            where = "before they began" if number is None else "over the same chunk"
            raise BackendError(f"{MAX_DEATHS} workers died {where}, the last: {one_line(error)}")
        self._start()

    def _check_patience(self) -> None:
        """Give up where no worker starts and none works."""
        self._patience_s = START_S if self._idle or self._working else self._patience_s - WAIT_S
        if self._patience_s < 0:
            found = self._ray.cluster_resources()
            there = ", ".join(f"{found.get(name, 0):g} {name}s" for name in ("CPU", "GPU"))
            raise BackendError(
                f"no worker has started in {START_S:.0f} s: each needs {self._cluster.cpus:g} CPUs "
                f"and {self._cluster.gpus:g} GPUs, the cluster has {there}"
            )


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Yield the library `ray`, connected to a cluster.

    Raises:
      ConfigError: it is not installed, or there is no such cluster.
      BackendError: one of our own does not start.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its default to come
    try:
        import ray  # type: ignore[import-not-found,import-untyped,unused-ignore]
        import ray.exceptions  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise ConfigError("--ray needs Ray: pip install 'stepnav[ray]'") from None
    _check_address(cluster.address)
    own = {"num_cpus": max(1, round(cluster.workers * cluster.cpus)), "include_dashboard": False}
    handler = signal.getsignal(signal.SIGTERM)  # Ray sets one of its own
    try:
        ray.init(
            address=cluster.address,
            log_to_driver=False,
            logging_level="ERROR",
            **(own if cluster.address == "local" else {}),
        )
    except Exception as error:  # Ray raises bare ones too
        ray.shutdown()
        if cluster.address == "local":
            raise BackendError(
                f"Ray did not start on this machine ({one_line(error)}); try again, or leave --ray "
                "out"
            ) from None
        raise _no_cluster(cluster.address, error) from None
    try:
        with suppress(ValueError):  # in a thread
            signal.signal(signal.SIGTERM, handler)
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Refuse an address at which nothing answers, since Ray itself would try for a minute.

    Raises:
      ConfigError: it is none, or nothing answers.
    """
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in address or not port.isdecimal():
        raise ConfigError(
            f"--ray must be auto, local or HOST:PORT of the head node, as in 10.0.0.1:6379 (got "
            f"{address!r})"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"there is no Ray cluster at {address} ({one_line(error)}); start one with "
        "ray start --head, or take --ray local"
    )
