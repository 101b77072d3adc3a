from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.labels import output as label_output
from stepnav.labels.output import write_stepwise
from stepnav.labels.reader import LabelledData, read_labelled
from tests.labels.label_files import alternative, session, step, stepwise, write_lines

ROWS = {
    "rating": [  # without a -1: types alone would not tell that these are ratings
        session(step(alternative("a", 1), alternative("ä", 0)), step(alternative("b", 1)))
    ],
    "correct": [{"input": "Q? Step 1: a ки\nb ки", "label": "Q? Step 1: a +\nb -"}],
    "value": [
        stepwise(0.5, None, 1.0, wrong_from=[None, 3, None], weights=[0.25, None, 2]),
        stepwise(0.0, prompt="R"),
        stepwise(0.5, prompt="S", is_finished=False, is_right=True),
    ],
}


def data_of(tmp_path: Path, kind: str) -> LabelledData:
    return read_labelled(write_lines(tmp_path / "in.jsonl", ROWS[kind]))


@pytest.mark.parametrize("kind", list(ROWS))
@pytest.mark.parametrize("suffix", label_output.SUFFIXES)
def test_what_was_written_is_read_back(tmp_path: Path, kind: str, suffix: str) -> None:
    pytest.importorskip("pyarrow")
    data = data_of(tmp_path, kind)
    out = tmp_path / "deep" / f"out{suffix}"
    write_stepwise(out, data)
    again = read_labelled(out)
    assert (again.records, again.kind, again.format) == (data.records, kind, "stepwise")
    first = out.read_bytes()
    write_stepwise(out, data)
    assert out.read_bytes() == first
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("suffix", label_output.SUFFIXES)
def test_files_whose_names_are_no_utf8_are_read_and_written(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("pyarrow")
    odd = os.fsdecode(b"\xe4")
    data = read_labelled(write_lines(tmp_path / f"in{odd}.jsonl", ROWS["value"]))
    write_stepwise(tmp_path / f"out{odd}{suffix}", data)
    again = read_labelled(tmp_path / f"out{odd}{suffix}")
    assert again.records[0].origin == r"in\udce4.jsonl:1"


def test_the_type_of_a_label_tells_its_kind(tmp_path: Path) -> None:
    written = {}
    for kind in ROWS:
        write_stepwise(tmp_path / "out.jsonl", data_of(tmp_path, kind))
        lines = (tmp_path / "out.jsonl").read_text().splitlines()
        written[kind] = [json.loads(line) for line in lines]
    assert [row["labels"] for row in written["rating"]] == [[1], [0], [None, 1]]
    assert written["rating"][2]["origin"] == "in.jsonl:1, step 2, alternative 1"
    assert written["correct"] == [
        {
            "prompt": "Q?",
            "completions": ["Step 1: a", "b"],
            "labels": [True, False],
            "origin": "in.jsonl:1",
            "is_right": False,
            "label_kind": "correct",
        }
    ]
    assert repr([row["labels"] for row in written["value"]]) == "[[0.5, None, 1.0], [0.0], [0.5]]"
    assert written["value"][0]["wrong_from"] == [None, 3, None]


def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(place: Path, *, data: LabelledData) -> None:
        place.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    data = data_of(tmp_path, "rating")
    out = tmp_path / "out" / "out.jsonl"
    write_stepwise(out, data)
    before = out.read_bytes()
    monkeypatch.setattr(label_output, "_write_lines", full)
    with pytest.raises(DataError, match=r"cannot write .*No space left on device.*nothing was"):
        write_stepwise(out, data)
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.jsonl, \.jsonl\.gz, \.parquet"):
        write_stepwise(tmp_path / "out.csv", data_of(tmp_path, "rating"))
