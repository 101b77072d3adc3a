from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.train.label_exclude import read_problems
from stepnav.train.labels import inspect_labelled, read_labelled
from tests.train.label_files import alternative, session, step, stepwise, write_lines


def test_rows_and_plain_lines_name_problems(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "x.jsonl.gz",
        [
            {"problem": " a\n b ", "question": "no"},
            {"question": "c"},
            {"question": {"problem": "d"}, "label": {}},
            {"prompt": "e", "problem": ""},
            "[asy] f  g",
            "",
            '"h"',
            "12",
        ],
    )
    assert read_problems(path) == {"a b", "c", "d", "e", "[asy] f g", "h", "12"}


def test_tables_name_problems(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    parquet.write_table(pa.table({"question": ["a  b", "c"]}), tmp_path / "x.parquet")
    assert read_problems(tmp_path / "x.parquet") == {"a b", "c"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"}', "line 1: no text in any of problem, question, prompt"),
        ('{"problem": "a"', "line 1: not valid JSON"),
        ("", "holds no problem"),
    ],
)
def test_a_list_that_would_exclude_nothing_is_an_error(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_problems(write_lines(tmp_path / "x.jsonl", [line]))


def test_sessions_of_listed_problems_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        session(step(alternative("a", 1), alternative("b", -1)), problem="P  1\n"),
        session(step(alternative("a", 1)), problem="P 2"),
        session(step(alternative("c", 0)), problem="P 1", screening=True),
    ]
    path = write_lines(tmp_path / "p.jsonl", rows)
    exclude = write_lines(tmp_path / "x.txt", ["P 1", "P 3"])
    data = read_labelled(path, exclude=exclude, leave_out=["screening"])
    report = data.report
    assert [record.prompt for record in data.records] == ["P 2"]
    assert (report.rows, report.sessions, report.ratings) == (3, 1, 1)
    assert {why: (n.sessions, n.ratings) for why, n in report.excluded.items()} == {
        "problems": (2, 3)
    }
    assert (report.exclude_listed, report.exclude_found) == (2, 1)


def test_nothing_left_is_an_error_for_a_training_and_a_report_for_a_reader(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [stepwise(True), stepwise(False, prompt="R")])
    exclude = write_lines(tmp_path / "x.txt", ["Q", "R"])
    with pytest.raises(DataError, match=r"nothing to learn from .* 2 left out \(problems\)"):
        read_labelled(path, exclude=exclude)
    report = inspect_labelled(path, exclude=exclude).report
    assert (report.sessions, report.excluded["problems"].ratings) == (0, 2)


@pytest.mark.realdata
def test_the_published_leakage_of_prm800k(data_folder: Path) -> None:
    math500 = data_folder / "math" / "math500.jsonl.gz"
    train = inspect_labelled(data_folder / "prm800k" / "phase1_train.jsonl.gz", exclude=math500)
    assert (train.report.excluded, train.report.exclude_found) == ({}, 0)
    test = inspect_labelled(data_folder / "prm800k" / "phase1_test.jsonl.gz", exclude=math500)
    assert (test.report.exclude_listed, test.report.exclude_found) == (500, 101)
    assert test.report.excluded["problems"].sessions == 106
