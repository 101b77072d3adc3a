"""Searches on the workers of a cluster: each worker has a journal of its own in the run's folder.

When a worker has ended or died, its journal is taken into the run's, and what it had begun goes on
where it stood, whoever is given it. What a run that was stopped has left is taken first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from stepnav.core.errors import ConfigError
from stepnav.files.lock import locked
from stepnav.run.cluster import Cluster
from stepnav.run.journal import Entry, Journal
from stepnav.run.on_ray import Job, Work, spread

FOLDER_NAME = "parts"
LOCK_PATIENCE_S = 10.0
"""So long the last children of a dead worker may hold its journal."""


class Begun(NamedTuple):
    """A search as a worker is given it.

    Attributes:
      search_id: which it is.
      answered: what was answered of it before.
    """

    search_id: str
    answered: Sequence[Entry]


class Told(NamedTuple):
    """A search that has ended, where that is all that needs to be told of it."""

    search_id: str


SearchWork = Callable[[Iterator["Begun | None"], Journal], Iterator[Any]]
"""Runs the searches of a feed into a journal, and yields something with a `search_id` for each."""


def take_left(journal: Journal) -> None:
    """Take what stopped workers have left into a run's journal.

    Raises:
      ConfigError: one of them is still at work.
    """
    for path in sorted((journal.path.parent / FOLDER_NAME).glob("*.sqlite")):
        with _locked(path):
            _take(journal, path)


def spread_searches(
    cluster: Cluster,
    open_work: Callable[[], AbstractContextManager[SearchWork]],
    journal: Journal,
    ids: Sequence[str],
    *,
    active: int,
    tell: Callable[[str], Any] = Told,
) -> Iterator[Any]:
    """Yield what workers tell of searches, of each once, until the journal holds all of them.

    Args:
      cluster: the workers; all see the run's folder.
      open_work: is pickled, and must be a function of a module.
      journal: the run's (`take_left` was called); what it holds of a search is not asked again.
      ids: of the run's searches; finished ones are left out.
      active: how many searches a worker runs at once.
      tell: what to yield of a search that a worker has ended without having told of it.
    Raises:
      ConfigError, BackendError: as `spread`.
    """
    finished = journal.finished_ids()
    left = [search_id for search_id in ids if search_id not in finished]
    if not left:
        return
    answered = journal.entries()
    folder = (journal.path.parent / FOLDER_NAME).absolute()
    folder.mkdir(exist_ok=True)

    def settle(name: str) -> Iterator[Any]:
        path = _part(folder, name)
        if path.exists():
            with ExitStack() as stack:
                _lock_patiently(path, stack)
                ended, begun = _take(journal, path)
            for search_id, entries in begun.items():
                answered[search_id] = [*answered.get(search_id, ()), *entries]
            yield from map(tell, ended)

    job = Job(
        open=partial(_open_part, open_work, folder, journal.config),
        keys=left,
        ready=lambda search_id: Begun(search_id, answered.get(search_id, ())),
        key_of=lambda value: value.search_id,
        settle=settle,
        ahead=active + max(1, active // 8),
    )
    try:
        with closing(spread(cluster, job)) as values:
            yield from values
    except BaseException:
        with suppress(ConfigError):  # a worker that has not ended yet: the next run takes it
            take_left(journal)
        raise
    folder.rmdir()


@contextmanager
def _open_part(
    open_work: Callable[[], AbstractContextManager[SearchWork]],
    folder: Path,
    config: str | None,
    name: str,
) -> Iterator[Work]:
    """Open the work and its journal in a worker."""
    path = _part(folder, name)
    with open_work() as work, _locked(path), closing(Journal(path, config)) as journal:
        yield lambda feed: work(feed, journal)


def _part(folder: Path, name: str) -> Path:
    return folder / f"{name}.sqlite"


def _take(journal: Journal, path: Path) -> tuple[set[str], dict[str, list[Entry]]]:
    """Take a worker's journal into the run's and remove it.

    Returns:
      Which searches have ended, and what it held of the others.
    """
    with closing(Journal(path)) as part:
        ended, begun = part.finished_ids(), part.entries()
        journal.absorb(part)
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    _lock_of(path).unlink(missing_ok=True)
    return ended, begun


def _lock_patiently(path: Path, stack: ExitStack) -> None:
    """Lock a journal; its worker may just have died, and a child of it still hold it."""
    until = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            stack.enter_context(_locked(path))
            return
        except ConfigError:
            if time.monotonic() > until:
                raise
        time.sleep(LOCK_PATIENCE_S / 20)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _locked(path: Path) -> Any:
    return locked(path.parent, _lock_of(path).name)
