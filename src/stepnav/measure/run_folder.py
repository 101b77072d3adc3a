"""The folder of a run: its plan and its journal, which belong together."""

from __future__ import annotations

from pathlib import Path

from stepnav.core.errors import ConfigError, DataError, JournalError
from stepnav.files.lock import LOCK_NAME
from stepnav.measure.plan import BenchPlan
from stepnav.measure.plan_file import FILE_NAME, plan_digest, read_plan
from stepnav.run.journal import Journal

JOURNAL_NAME = "journal.sqlite"


def open_run(run: Path) -> tuple[BenchPlan, Journal]:
    """Return the plan and the journal of a run folder, to be read only.

    Raises:
      DataError: one of them is missing or broken.
      JournalError: the plan was edited after the run, or the journal is of another one.
    """
    plan = read_plan(run)
    path = run / JOURNAL_NAME
    if not path.is_file():
        raise DataError(f"{run} has no {JOURNAL_NAME}; stepnav bench --resume makes it")
    journal = Journal(path, is_read_only=True)
    made, now = journal.config, plan_digest(plan)
    if made not in (None, now):
        journal.close()
        raise JournalError(
            f"{run / FILE_NAME} was edited after the run, or {JOURNAL_NAME} is of another one "
            f"(digest {made}, now {now}); put back what was there"
        )
    return plan, journal


def check_is_free(out: Path) -> None:
    """Refuse a folder that holds anything.

    Raises:
      ConfigError: it holds a run, or something else.
    """
    if (out / FILE_NAME).exists():
        raise ConfigError(f"{out} holds a run already; use another --out")
    if out.exists() and (not out.is_dir() or any(p.name != LOCK_NAME for p in out.iterdir())):
        raise ConfigError(f"{out} is not empty and not a run folder; use another --out")
