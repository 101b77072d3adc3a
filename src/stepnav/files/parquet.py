"""Parquet tables on disk, through open files: of a path Arrow takes UTF-8 only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError


def load_pyarrow(doing: str, advice: str = "") -> Any:
    """Return the library.

    Args:
      doing: "reading" or "writing", for the message.
      advice: what else may be done, at its end.
    Raises:
      ConfigError: it is missing.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            f"{doing} Parquet needs pyarrow ({error}): pip install 'stepnav[bench]'{advice}"
        ) from None
    return pyarrow


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
