from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from stepnav.files.parquet import read_table, write_table


def test_a_table_is_written_and_read_where_the_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    write_table(folder / "t.parquet", pa.table({"a": [1, None]}))
    assert read_table(folder / "t.parquet") == [{"a": 1}, {"a": None}]
