from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from stepnav.cli import main as cli
from tests.labels.label_files import alternative, session, step, stepwise, write_lines

Call = tuple[int, str, str]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object) -> Call:
        monkeypatch.setattr(sys, "argv", ["stepnav", "data", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    first = session(
        step(alternative("a", 1), alternative("b", -1), alternative("c", None)),
        step(alternative("d", 0)),
    )
    rows = [first, session(step(alternative("e", 1)), problem="R", screening=True), "{torn"]
    return write_lines(tmp_path / "p.jsonl.gz", rows)


def test_inspect_tells_all_counts(call: Any, ratings: Path) -> None:
    code, out, err = call("inspect", ratings, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["format"], report["kind"]) == ("prm800k", "rating")
    assert (report["rows"], report["sessions"], report["solutions"]) == (3, 2, 2)
    assert (report["steps"], report["ratings"], report["records"]) == (3, 4, 4)
    assert report["labels"] == {"-1": 1, "0": 1, "1": 2}
    assert report["details"]["unrated"] == 1
    assert report["lengths"]["steps"] == {"min": 1, "median": 1, "mean": 1.5, "max": 2}
    assert report["malformed"] == 1
    assert report["malformed_rows"][0]["number"] == 3
    assert report["excluded"] == {}
    code, out, err = call("inspect", ratings)
    assert code == 0, err
    assert "alternatives 5 = ratings 4 + unrated 1" in out
    assert "rows         3 = sessions 2 + malformed 1" in out
    assert err.startswith(f"malformed: {ratings}, line 3: not valid JSON")


def test_inspect_tells_what_is_left_out(call: Any, ratings: Path, tmp_path: Path) -> None:
    exclude = write_lines(tmp_path / "x.txt", ["Q"])
    options = ("--exclude-problems", exclude, "--leave-out", "screening, flagged")
    code, out, err = call("inspect", ratings, *options, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["excluded"] == {
        "problems": {"sessions": 1, "ratings": 3},
        "screening": {"sessions": 1, "ratings": 1},
    }
    assert (report["sessions"], report["exclude_listed"], report["exclude_found"]) == (0, 1, 1)
    code, out, err = call("inspect", ratings, *options)
    assert "1 of 1 listed problems found" in out
    assert "1 of 1 listed problems found" in err
    assert "left out: 1 sessions with 3 labels (problems)" in err


def test_convert_writes_what_is_left(call: Any, ratings: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "out.jsonl"
    code, out, err = call("convert", ratings, "--out", out_file, "--leave-out", "screening")
    assert code == 0, err
    assert "3 records with 3 labelled steps (ratings -1, 0, 1) of 1 sessions" in out
    assert "left out: 1 sessions with 1 labels (screening)" in err
    rows = [json.loads(line) for line in out_file.read_text().splitlines()]
    assert [row["completions"] for row in rows] == [["a"], ["b"], ["a", "d"]]
    code, out, err = call("convert", out_file, "--out", tmp_path / "b.jsonl.gz", "--json")
    assert code == 0, err
    assert json.loads(out)["out"] == str(tmp_path / "b.jsonl.gz")
    assert gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes()) == out_file.read_bytes()


def test_labels_of_zero_and_one_are_told_and_settled_by_an_option(
    call: Any, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "s.jsonl", [stepwise(0, 1)])
    _, out, err = call("inspect", path, "--json")
    assert json.loads(out)["labels"] == {"-1": 1, "1": 1}
    _, out, err = call("inspect", path)
    assert "say --labels rating" in err
    _, out, err = call("inspect", path, "--labels", "rating", "--json")
    assert json.loads(out)["labels"] == {"-1": 0, "0": 1, "1": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-9], "the gzip data is truncated or damaged"),
        (json.dumps(stepwise(1)).encode()[:-5], "it is truncated or not JSON lines"),
        (json.dumps(stepwise(1, 3)).encode(), "line 1: the label 3 is out of range"),
        (json.dumps({**stepwise(1), "labels": []}).encode(), "1 completions but 0 labels"),
        (b'{"question": "Q"}\n', "not step-labelled data"),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_bad_files_are_one_line_and_nothing_is_written(
    call: Any, tmp_path: Path, command: str, content: bytes, message: str
) -> None:
    path, out_file = tmp_path / "f.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(content)
    options = ("--out", out_file) if command == "convert" else ()
    code, out, err = call(command, path, *options)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    assert message in err
    assert not out_file.exists()


def test_a_wrong_ending_is_refused_before_anything_is_read(call: Any, tmp_path: Path) -> None:
    code, _, err = call("convert", tmp_path / "none.jsonl", "--out", tmp_path / "out.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "--out must end in .jsonl, .jsonl.gz, .parquet (got 'out.csv')" in err


@pytest.mark.realdata
def test_prm800k_phase_1_is_inspected(call: Any, data_folder: Path) -> None:
    counts = {}
    for split in ("train", "test"):
        path = data_folder / "prm800k" / f"phase1_{split}.jsonl.gz"
        code, out, err = call("inspect", path, "--json")
        assert code == 0, err
        counts[split] = [json.loads(out)[name] for name in ("sessions", "ratings")]
    assert counts == {"train": [942, 48_672], "test": [106, 5_082]}


def test_convert_never_writes_over_what_it_reads(call: Any, ratings: Path, tmp_path: Path) -> None:
    before = ratings.read_bytes()
    link = tmp_path / "link.jsonl.gz"
    link.symlink_to(ratings)
    for out_file in (ratings, link):
        code, out, err = call("convert", ratings, "--out", out_file)
        assert (code, out) == (2, "")
        assert "is read and would be written over" in err
    other = write_lines(tmp_path / "excluded.jsonl", [{"problem": "R"}])
    code, _, err = call("convert", ratings, "--out", other, "--exclude-problems", other)
    assert code == 2, err
    assert "is read and would be written over" in err
    assert ratings.read_bytes() == before


def test_convert_to_standard_output(call: Any, ratings: Path, tmp_path: Path) -> None:
    code, out, err = call("convert", ratings, "--out", "-")
    assert code == 0, err
    assert call("convert", ratings, "--out", tmp_path / "a.jsonl")[0] == 0
    assert out == (tmp_path / "a.jsonl").read_text()
    assert "Saved to standard output" in err
    assert call("convert", ratings, "--out", "-", "--json")[0] == 2
