import json
from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.labels.records import StepRecord, write_records
from stepnav.labels.stepwise import read_records


def test_records_survive_the_disk(tmp_path: Path) -> None:
    records = [
        StepRecord("Q", ("a\n", "b"), (1, -1), (None, 0)),
        StepRecord("R", ("c",), (None,)),
        StepRecord("R", ("d",), (1,), is_finished=False, is_right=True),
    ]
    write_records(tmp_path / "r.jsonl", records)
    assert list(read_records(tmp_path / "r.jsonl")) == records


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[1]",
        b"\xff\xfe",
        b'{"prompt": "Q"}',
        b'{"prompt": "Q", "completions": ["a"], "labels": []}',
        b'{"prompt": "Q", "completions": "abc", "labels": [1, 1, 1]}',
    ],
)
def test_broken_records_are_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "r.jsonl"
    good = json.dumps(StepRecord("Q", (" ",), (-1,)).to_json()).encode()
    path.write_bytes(good + b"\n" + line + b"\n")
    with pytest.raises(DataError, match=r"r\.jsonl, line 2: "):
        list(read_records(path))
