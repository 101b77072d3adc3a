from __future__ import annotations

import gzip
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.core.errors import ConfigError, DataError
from stepnav.files.parquet import write_table
from stepnav.tasks.mathematics import gsm8k, math500, svamp
from stepnav.tasks.own import own_task

ROWS = [{"question": f"What is {i}?", "answer": f"It is {i}.\n#### {i}"} for i in range(20)]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_ids_are_positions_and_a_draw_keeps_the_order(tmp_path: Path) -> None:
    path = write(tmp_path / "test.jsonl", ROWS)
    everything = gsm8k.load("test", path=path)
    assert [problem.id for problem in everything] == [f"gsm8k-test-{i}" for i in range(20)]
    drawn = gsm8k.load("test", 5, path=path)
    assert drawn == gsm8k.load("test", 5, path=path)
    assert drawn == [problem for problem in everything if problem in drawn]
    assert len(drawn) == 5
    assert drawn != gsm8k.load("test", 5, seed=1, path=path)
    assert gsm8k.load("test", 0, path=path) == []


def test_a_folder_is_searched_for_the_split(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "train.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in ROWS[:3])
    assert len(gsm8k.load("train", path=tmp_path)) == 3
    with pytest.raises(DataError, match=r"holds none of test\.jsonl, "):
        gsm8k.load("test", path=tmp_path)


def test_a_folder_may_hold_a_split_as_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    write_table(tmp_path / "test.parquet", pa.Table.from_pylist(ROWS[:3]))
    assert len(gsm8k.load("test", path=tmp_path)) == 3


def test_a_json_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "SVAMP.json"
    row = {"Body": "Ann has 3 hats", "Question": "How many?", "Answer": 3.0}
    path.write_text(json.dumps([row]))
    (problem,) = svamp.load(path=path)
    assert (problem.question, problem.answer) == ("Ann has 3 hats. How many?", "3")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'{"question": "a", "answer": "#### 1"}\n{"question": \n', "line 2: not valid JSON"),
        (b'{"question": "a", "answer": "#### 1"}\n[1]\n', "line 2: expected an object"),
        (b'{"question": "a"}\n', "line 1: no field 'answer' for gsm8k; its fields are question"),
        (b'{"question": "a", "answer": "one"}\n', "line 1: not a row of gsm8k"),
        (b'{"question": 7, "answer": "#### 1"}\n', "field 'question' must be text"),
        (b'{"question": "\xff"}\n', "not UTF-8"),
        ('{"question": "a"'.encode("utf-16")[:-1], "not UTF-16"),
    ],
)
def test_a_bad_file_is_one_line_with_its_place(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "test.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        gsm8k.load("test", path=path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS * 50).encode())
    path = tmp_path / "test.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"test\.jsonl\.gz: the gzip data is truncated"):
        gsm8k.load("test", path=path)
    path.write_bytes(b"this is no gzip file")
    with pytest.raises(DataError, match="line 1: not valid JSON"):
        gsm8k.load("test", path=path)


@pytest.mark.parametrize("name", ["test.jsonl", "test.json", "test.jsonl.gz", "rows.data"])
@pytest.mark.parametrize("container", ["lines", "list", "zipped", "zipped list", "UTF-16"])
def test_a_container_is_told_by_its_content(tmp_path: Path, name: str, container: str) -> None:
    text = json.dumps(ROWS) if "list" in container else "\n".join(map(json.dumps, ROWS))
    content = text.encode("utf-16" if container == "UTF-16" else "utf-8")
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if "zipped" in container else content)
    assert len(gsm8k.load("test", path=path)) == len(ROWS)
    assert len(own_task(path).load("test", None, 0, None)) == len(ROWS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*absent"):
        gsm8k.load("test", path=tmp_path / "absent.jsonl")


def test_an_unknown_split_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'test'"):
        gsm8k.load("tests", path=Path("anything"))


def test_another_benchmarks_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "test.jsonl", ROWS)
    with pytest.raises(DataError, match="no field 'problem' for math500"):
        math500.load(path=path)


def test_the_hub_is_asked_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*args: Any, **options: Any) -> list[dict[str, str]]:
        asked.append((args, options))
        return ROWS

    fake = types.SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert len(gsm8k.load("test", 3)) == 3
    assert asked == [(("openai/gsm8k", "main"), {"split": "test"})]


def test_no_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*args: Any, **options: Any) -> None:
        raise ConnectionError("Couldn't reach the hub\nwith many\nlines")

    fake = types.SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    with pytest.raises(DataError, match=r"cannot load openai/gsm8k.*ConnectionError") as caught:
        gsm8k.load("test")
    assert "\n" not in str(caught.value)


def test_without_datasets_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'stepnav\[hub\]'"):
        gsm8k.load("test")


@pytest.mark.parametrize(
    ("name", "text"),
    [("f.jsonl", "\n \n"), ("f.jsonl", ""), ("f.json", "[]"), ("f.json", " \n"), ("f.json", "")],
)
def test_a_file_without_a_row_is_empty(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    for task in ("gsm8k", str(path)):
        with pytest.raises(DataError, match=rf"{name} is empty$"):
            build.load_task(task).load("test", None, 0, path)
