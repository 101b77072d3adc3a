"""What a campaign writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stepnav.mutate.output import _write_table


def test_a_table_is_written_where_names_are_no_utf8(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    place = tmp_path / os.fsdecode(b"\xe4")
    _write_table(place, [])
    with place.open("rb") as file:
        assert "verdict" in parquet.read_table(file).column_names
