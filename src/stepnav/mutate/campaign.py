"""Many problems over several processes, journaled; and the shards of one campaign merged.

Each process is a `worker` with a sandbox of its own. A report is in the journal before it counts
as done, so a campaign that was killed goes on where it stopped when it is started again. The files
are made of the journals alone, so they do not depend on kills, processes or shards.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path

from stepnav.core.errors import ConfigError, DataError, JournalError, nearest
from stepnav.core.shard import Shard, what_lacks
from stepnav.files.parquet import load_pyarrow
from stepnav.mutate.examination import Settings
from stepnav.mutate.findings import ProblemReport
from stepnav.mutate.journal import Journal, read_journal
from stepnav.mutate.operators.table import OPERATORS
from stepnav.mutate.output import write_data
from stepnav.mutate.processes import examine_all
from stepnav.mutate.reference import Reference
from stepnav.run.cluster import Cluster
from stepnav.run.on_ray import Job, Work, spread

JOURNALS = "shard-*-of-*.jsonl"

PACK = 8
"""Problems that one process of a worker examines."""
WAIT_S = 0.05

WHOLE = Shard(1, 1)

Progress = Callable[[int, int, ProblemReport | None], None]
"""Called with problems done, problems in all, and the newest report (None before the first)."""


def run_campaign(
    references: Sequence[Reference],
    out: Path,
    settings: Settings,
    *,
    task: str,
    source: str,
    held_out: Sequence[str] = (),
    level: str = "process",
    workers: int = 1,
    cluster: Cluster | None = None,
    shard: Shard = WHOLE,
    progress: Progress | None = None,
) -> list[ProblemReport]:
    """Examine the problems of one shard that its journal does not hold yet; return all of them.

    Args:
      references: all problems of the campaign, whatever the shard.
      out: folder of the journal, `shard-I-of-N.jsonl`.
      settings: what is made of each problem.
      task: name of the data, for the card.
      source: where the programs are from and under what licence, one line for the card.
      held_out: operators that are kept out of training.
      level: sandbox level.
      workers: processes, where there is no cluster.
      cluster: whose workers examine instead.
      shard: which part of the problems is examined.
    Raises:
      ConfigError: an operator that there is none of.
      JournalError: the folder holds another campaign.
      SandboxError: the sandbox cannot be used.
    """
    load_pyarrow("writing")  # before hours are spent on what goes into a table
    _check_held_out(held_out)
    mine = shard.part(list(enumerate(references)))
    campaign = {
        "task": task,
        "source": source,
        **asdict(settings),
        "held_out": sorted(held_out),
        "level": level,
        "python": ".".join(map(str, sys.version_info[:2])),
        "problems": _digest(references),
        "num_problems": len(references),
        "shard": [shard.index, shard.count],
    }
    with Journal(journal_path(out, shard), campaign) as journal:
        done = {report.number for report in journal.reports}
        todo = [(n, reference) for n, reference in mine if n not in done]
        if progress is not None:
            progress(len(done), len(mine), None)
        found = (
            examine_all(todo, settings, level, workers)
            if cluster is None
            else _examine_there(todo, settings, level, cluster)
        )
        for report in found:
            journal.add(report)
            if progress is not None:
                progress(len(journal.reports), len(mine), report)
        return journal.reports


def _examine_there(
    problems: Sequence[tuple[int, Reference]], settings: Settings, level: str, cluster: Cluster
) -> Iterator[ProblemReport]:
    """Yield the reports on problems as the workers of a cluster find them, of each once."""
    by_number = dict(problems)
    job = Job(
        open=partial(_examiner, settings, level),
        keys=list(by_number),
        ready=lambda number: (number, by_number[number]),
        key_of=attrgetter("number"),
        settle=lambda name: (),
        ahead=2 * PACK,
    )
    with closing(spread(cluster, job)) as reports:
        yield from reports


@contextmanager
def _examiner(settings: Settings, level: str, _: str) -> Iterator[Work]:
    """Return what examines problems in a worker of a cluster, in packs of a process each."""

    def work(feed: Iterator[tuple[int, Reference] | None]) -> Iterator[ProblemReport]:
        pack: list[tuple[int, Reference]] = []
        for problem in feed:
            if problem is not None:
                pack.append(problem)
            if len(pack) == PACK or (problem is None and pack):
                yield from examine_all(pack, settings, level, 1)
                pack = []
            elif problem is None:
                time.sleep(WAIT_S)
        if pack:
            yield from examine_all(pack, settings, level, 1)

    yield work


def merge(journals: Sequence[Path], out: Path) -> tuple[list[ProblemReport], list[Path]]:
    """Return the reports of a campaign's shards and the files made of them.

    Args:
      journals: every shard's journal, in any order.
      out: folder for the data set.
    Raises:
      JournalError: a shard is missing, unfinished, given twice, or of another campaign.
    """
    if not journals:
        raise JournalError("there are no journals to merge; give those of all shards")
    read = [(path, *read_journal(path)) for path in journals]
    campaign = {key: value for key, value in read[0][1].items() if key != "shard"}
    for path, header, _ in read[1:]:
        if {key: value for key, value in header.items() if key != "shard"} != campaign:
            raise JournalError(f"{path} and {read[0][0]} are shards of different campaigns")
    lacking = what_lacks([Shard(*header["shard"]) for _, header, _ in read])
    if lacking is not None:
        raise JournalError(lacking)
    reports = [report for _, _, found in read for report in found]
    if len({report.number for report in reports}) != campaign["num_problems"]:
        raise JournalError(
            f"{len(reports)} of {campaign['num_problems']} problems are done; start the "
            "unfinished shards again, then merge"
        )
    return reports, write_data(out, campaign, reports)


def journal_path(out: Path, shard: Shard) -> Path:
    """Return where the journal of a shard is."""
    return out / f"shard-{shard.index}-of-{shard.count}.jsonl"


def find_journals(places: Sequence[Path]) -> list[Path]:
    """Return the journals among files and in folders.

    Raises:
      DataError: a place is not there, or a folder holds none.
    """
    found: list[Path] = []
    for place in places:
        inside = sorted(place.glob(JOURNALS)) if place.is_dir() else [place]
        if not inside or not inside[0].exists():
            raise DataError(f"no journal at {place}; give folders made by `stepnav data mutate`")
        found += inside
    return found


def _check_held_out(names: Sequence[str]) -> None:
    for name in names:
        if name not in OPERATORS:
            raise ConfigError(
                f"no mutation operator is called {name!r}{nearest(name, list(OPERATORS))}; "
                f"there are: {', '.join(OPERATORS)}"
            )


def _digest(references: Sequence[Reference]) -> str:
    digest = blake2b(digest_size=8)
    for reference in references:
        digest.update(json.dumps(asdict(reference)).encode())
    return digest.hexdigest()
