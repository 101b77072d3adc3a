"""Searches on the workers of a cluster: each chunk has a journal of its own in the run's folder.

So a chunk whose worker died goes on where it stood, whoever is given it; and what a run that was
stopped has left is taken into the run's journal first.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.files.lock import locked
from stepnav.run.journal import Entry, Journal
from stepnav.run.on_ray import Cluster, Done, Open, cut, spread

FOLDER_NAME = "parts"
LEAST, MOST = 32, 256
"""Searches in a chunk. A worker ends one before it takes the next, and its last searches run in
small batches: many small chunks cost more than workers that end one after another. A dead worker
loses none of a large one, as its journal stays."""
LOCK_PATIENCE_S = 10.0
"""So long the last children of a dead worker may hold its chunk."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Searches that are handed out together.

    Attributes:
      path: their journal.
      search_ids: which they are.
    """

    path: Path
    search_ids: tuple[str, ...]

    @contextmanager
    def journal(self, config: str) -> Iterator[Journal]:
        """Open the chunk's journal, which nobody else writes.

        Raises:
          ConfigError: another worker is at work in it.
        """
        with ExitStack() as stack:
            _lock_patiently(self.path, stack)
            yield stack.enter_context(closing(Journal(self.path, config)))


def take_left(journal: Journal) -> None:
    """Take what stopped workers have left into a run's journal.

    Raises:
      ConfigError: one of them is still at work.
    """
    for path in sorted((journal.path.parent / FOLDER_NAME).glob("*.sqlite")):
        with _locked(path):
            _take(journal, path)


def spread_searches(
    cluster: Cluster, open_work: Open, journal: Journal, ids: Sequence[str]
) -> Iterator[Any]:
    """Yield what workers tell of searches, of each once, until the journal holds all of them.

    Args:
      cluster: the workers; all see the run's folder.
      open_work: its work takes a `Chunk` and yields something with a `search_id` for each search.
      journal: the run's (`take_left` was called); what it holds of a search is not asked again.
      ids: of the run's searches; finished ones are left out.
    Raises:
      ConfigError, BackendError: as `spread`.
    """
    finished = journal.finished_ids()
    left = [search_id for search_id in ids if search_id not in finished]
    held = journal.entries()
    folder = journal.path.parent / FOLDER_NAME
    folder.mkdir(exist_ok=True)
    chunks = [
        _chunk(folder, number, ids, held, journal.config)
        for number, ids in enumerate(cut(left, cluster.workers, least=LEAST, most=MOST))
    ]
    if not chunks:
        return
    told: set[str] = set()
    try:
        with closing(spread(cluster, open_work, chunks)) as values:
            for chunk, value in values:
                if isinstance(value, Done):
                    _take(journal, chunk.path)
                elif value.search_id not in told:
                    told.add(value.search_id)
                    yield value
    except BaseException:
        with suppress(ConfigError):  # a worker that has not ended yet: the next run takes it
            take_left(journal)
        raise
    folder.rmdir()


def _chunk(
    folder: Path, number: int, search_ids: Sequence[str], held: Mapping[str, Sequence[Entry]],
    config: str | None,
) -> Chunk:  # fmt: skip
    """Return a new chunk, whose journal begins with what the run's holds of its searches."""
    path = (folder / f"{number:05}-{secrets.token_hex(4)}.sqlite").absolute()
    entries = [entry for search_id in search_ids for entry in held.get(search_id, ())]
    if entries:
        with closing(Journal(path, config)) as journal:
            journal.seed(entries)
    return Chunk(path, tuple(search_ids))


def _take(journal: Journal, path: Path) -> None:
    """Take a chunk's journal into the run's, and remove it."""
    with closing(Journal(path)) as part:
        journal.absorb(part)
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    _lock_of(path).unlink(missing_ok=True)


def _lock_patiently(path: Path, stack: ExitStack) -> None:
    """Lock a chunk; its last worker may just have died, and a child of it still hold it."""
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
