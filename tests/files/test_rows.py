from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.files.rows import BadRow, FileRow, every_row, read_rows

ROWS = [{"a": 1}, {"a": "ä"}]


def fields(path: Path) -> list[object]:
    return [row.fields if isinstance(row, FileRow) else row for row in read_rows(path)]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("container", ["lines", "list", "parquet"])
def test_containers_are_told_by_content(tmp_path: Path, container: str, zipped: bool) -> None:
    path = tmp_path / "no-ending"
    if container == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        import pyarrow as pa

        parquet.write_table(pa.table({"a": ["x", "ä"]}), path)
    elif container == "list":
        path.write_text("\n " + json.dumps(ROWS, indent=1))
    else:
        path.write_text("\n".join(map(json.dumps, ROWS)))
    if zipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    expected = [{"a": "x"}, {"a": "ä"}] if container == "parquet" else ROWS
    assert fields(path) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_other_encodings_are_told_by_content(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes("\n".join(map(json.dumps, ROWS)).encode(encoding))
    assert fields(path) == ROWS
    path.write_bytes(json.dumps(ROWS).encode(encoding))
    assert fields(path) == ROWS
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="not UTF-"):
        fields(path)


def test_every_row_may_have_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n[1]\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: expected an object \(got list\)"):
        list(every_row(path))


def test_half_a_surrogate_pair_spoils_its_row_only(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"a": "\\ud83d\\ude00"}, {"a": "\\ud83d"}, {"a": 1}]')
    assert fields(path) == [
        {"a": "\U0001f600"},
        BadRow(2, "half of a surrogate pair in its text", "row"),
        {"a": 1},
    ]


def test_lines_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2}\n')
    rows = [row for row in read_rows(path) if isinstance(row, FileRow)]
    assert [(row.number, row.origin, row.place) for row in rows] == [
        (1, "a.jsonl:1", f"{path}, line 1"),
        (4, "a.jsonl:4", f"{path}, line 4"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{torn", "not valid JSON (Expecting property name"),
        (b'{"a": "\\u00e4', "not valid JSON (Invalid control character"),
        (b"[1]", "expected an object (got list)"),
        (b'"a"', "expected an object (got str)"),
        (b'{"a": "\xff"}', "not UTF-8 text"),
        (b'{"a": "\\ud83d"}', "half of a surrogate pair"),
        (b"[" * 100_000, "not usable JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not usable JSON"),
    ],
)
def test_a_bad_line_is_named_and_reading_goes_on(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "\\ud83d\\ude00"}\n' + line + b'\n{"a": 2}\n')
    first, bad, last = fields(path)
    assert (first, last) == ({"a": "\U0001f600"}, {"a": 2})
    assert isinstance(bad, BadRow)
    assert bad.number == 2
    assert reason in str(bad)


def test_files_that_break_off_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    whole = b'{"a": 1}\n{"a": 2}\n'
    path.write_bytes(whole[:-4])
    with pytest.raises(DataError, match=r"line 2: .*truncated"):
        fields(path)
    path.write_bytes(gzip.compress(whole * 1000)[:-20])
    with pytest.raises(DataError, match="gzip data is truncated"):
        fields(path)
    damaged = bytearray(gzip.compress(whole))
    damaged[-6] ^= 255  # of the checksum
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="gzip data is truncated or damaged"):
        fields(path)
    path.write_text('[{"a": 1}, {"a"')
    with pytest.raises(DataError, match="begins like a JSON list but is not valid JSON"):
        fields(path)


@pytest.mark.parametrize("before", ["", "\ufeff", " \n"])
def test_objects_over_several_lines_are_told_as_such(tmp_path: Path, before: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(before + json.dumps(ROWS[0], indent=2) + "\n")
    with pytest.raises(DataError, match="object over several lines; write one object a line"):
        fields(path)


def test_a_truncated_table_is_an_error(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"a": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="truncated or damaged Parquet"):
        fields(path)
    table = pa.table({"a": ["x" * 40]})
    parquet.write_table(table, path, compression="none", use_dictionary=False)
    path.write_bytes(path.read_bytes().replace(b"x" * 40, b"\xff" * 40))
    with pytest.raises(DataError, match="truncated or damaged Parquet"):
        fields(path)


@pytest.mark.parametrize("content", [b"", b"\n  \n", b"[]", gzip.compress(b"", mtime=0)])
def test_empty_files_are_errors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is empty"):
        fields(path)


def test_missing_files_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        fields(tmp_path / "none")
    with pytest.raises(DataError, match="is a folder"):
        fields(tmp_path)
