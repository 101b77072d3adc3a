"""Parquet tables on disk, through open files: of a path Arrow takes UTF-8 only."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_table(path: Path, table: Any) -> None:
    """Write an Arrow table as a file."""
    from pyarrow import parquet

    with path.open("wb") as file:
        parquet.write_table(table, file)


def read_table(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    from pyarrow import parquet

    with path.open("rb") as file:
        rows: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    return rows
