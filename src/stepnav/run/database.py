"""The SQLite file of a journal: its tables, and how it is opened to write or only to read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What a broken file raises; the second where the library's own message quotes damaged text."""

SCHEMA_VERSION = 1

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    search_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    elapsed_s REAL NOT NULL,
    payload TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS results (
    search_id TEXT PRIMARY KEY,
    is_failed INTEGER NOT NULL,
    payload TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS verdicts (
    search_id TEXT PRIMARY KEY,
    correct INTEGER
);
CREATE TABLE IF NOT EXISTS spans (
    name TEXT NOT NULL,
    seconds REAL NOT NULL
);
INSERT OR IGNORE INTO meta VALUES ('schema', '{SCHEMA_VERSION}');
COMMIT;
"""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Return a connection to a file, which is made if it is not there."""
    begin = f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {SCHEMA}"
    return _opened(f"{path.resolve().as_uri()}?mode=rwc", begin)


def _opened(uri: str, script: str) -> sqlite3.Connection:
    """Return a connection on which a script has run; none stays open where it fails."""
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        db.executescript(script)
    except BaseException:
        db.close()
        raise
    return db


def is_begun(path: Path) -> bool:
    """Return whether a file holds tables: it does not where its making was stopped at once."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return bool(db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0])
    except SQLITE_ERRORS:
        return True  # opening it says why


def open_to_read(path: Path) -> sqlite3.Connection:
    """Return a connection that never writes, not even beside the file where that cannot be done.

    SQLite wants to write a small file beside a journal even to read it. Where it cannot, the
    journal is read as it stands; that is right if nobody has it open, and then there is no log, or
    an empty one.
    """
    uri, probe = f"{path.resolve().as_uri()}?mode=ro", "SELECT COUNT(*) FROM meta"
    try:
        return _opened(uri, probe)
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        return _opened(f"{uri}&immutable=1", probe)
