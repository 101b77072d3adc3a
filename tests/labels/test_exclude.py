from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.labels.exclude import normalise, read_problems
from stepnav.labels.reader import inspect_labelled, read_labelled
from tests.labels.label_files import alternative, session, step, stepwise, write_lines

MUTATION = {"task_id": "mbpp-601", "operator": "constant", "verdict": "killed", "split": "train"}


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
    found = read_problems(path)
    assert list(found) == ["a b", "c", "d", "e", "[asy] f g", "h", "12"]
    assert len(set(found.values())) == 7
    assert list(read_problems(write_lines(tmp_path / "x.txt", ["[asy] f", "g"]))) == [
        "[asy] f",
        "g",
    ]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_list_names_problems(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"problem": "a  b"}, {"question": "c"}, "d"], indent=indent))
    assert list(read_problems(path)) == ["a b", "c", "d"]


@pytest.mark.parametrize(
    "content",
    [
        'id,problem,answer\n1,"a\n ""b"", c",3\n2,d,4\n',
        '\ufeff"id";"problem"\r\n1;"a ""b"", c"\r\n2;d\r\n',
        'problem\tid\na "b", c\t1\nd\t2\n',
    ],
)
def test_a_table_with_a_header_names_problems(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.csv").write_text(content, newline="")
    assert list(read_problems(tmp_path / "x.csv")) == ['a "b", c', "d"]


def test_rows_of_other_benchmarks_name_problems(tmp_path: Path) -> None:
    rows = [
        {"text": "Write f.", "task_id": 601, "test_list": ["assert f() == 1"]},
        {"Body": "I have 3 ", "Question": "How many?"},
        {"input": "Who? Step 1: I. ки", "label": "Who? Step 1: I. +"},
        {"body": "Ann has 2.", "question": "How many?", "answer": "2 (hats)"},
        {"input": "How much?", "target": 3.0},
        {"prompt": "Write g.\nassert g() == 1\ndef g():\n", "task_id": "mbpp-602"},
    ]
    found = read_problems(write_lines(tmp_path / "x.jsonl", rows))
    assert found == {
        "Write f.": 0, "mbpp-601": 0, "I have 3 How many?": 1, "I have 3. How many?": 1, "Who?": 2,
        "Ann has 2. How many?": 3, "Ann has 2.. How many?": 3, "How much?": 4,
        "Write g.": 5, "mbpp-602": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Caf\u00e9\u00a01", "Cafe\u0301 1"),
        ('It\'s "so"', "It\u2019s \u201cso\u201d"),
        ("a b", "\ufeffa\u200b b"),
        ("$\\frac{1}{2}$ $\\frac34$", "$\\dfrac{1}{2}$ $\\tfrac34$"),
    ],
)
def test_texts_that_look_alike_are_one(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


def test_texts_that_differ_stay_different() -> None:
    assert (
        len({normalise(text) for text in ("a b", "ab", "a-b", "A b", "a b?", "e\u0301", "e")}) == 7
    )


def test_tables_name_problems(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    parquet.write_table(pa.table({"question": ["a  b", "c"]}), tmp_path / "x.parquet")
    assert list(read_problems(tmp_path / "x.parquet")) == ["a b", "c"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"answer": "a"}', "line 1: no text in any of problem, question, prompt"),
        ('{"input": "a"}', "line 1: no text in any of problem, question, prompt"),
        ('{"input": "Find x. a ки"}', 'line 1: no "Step 1:" tells where'),
        ('{"input": "Step 1: a ки"}', "line 1: no text in any of"),
        ('["a", 3]', "row 2: expected an object or a problem's text"),
        ('["a", "\\ud800"]', "row 2: .*half of a surrogate pair"),
        ('["a"', "begins like a JSON list but is not valid JSON"),
        ("[3]", "line 1: expected an object or a problem's text"),
        ("problem,answer\n,3", "line 2: no text in any of"),
        ("problem\n\xff", "line 2: not UTF-8 text"),
        ('{"problem": "a"', "line 1: not valid JSON"),
        ("", "holds no problem"),
    ],
)
def test_a_list_that_would_exclude_nothing_is_an_error(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(line.encode("latin-1" if "\xff" in line else "utf-8") + b"\n")
    with pytest.raises(DataError, match=message):
        read_problems(path)


def test_a_table_without_a_column_of_problems_is_an_error(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.csv.gz", ["name,answer", "a,b"])
    with pytest.raises(
        DataError, match=r"its first line must name one of .* \(got 'name,answer'\)"
    ):
        read_problems(path)


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Write  f.", "task_id": 601, "test_list": []},
        {"text": "reworded", "task_id": 601, "test_list": []},
        "Write f.",
        "mbpp-601",
        {"prompt": "Write f.\nassert f() == 1"},
    ],
)
@pytest.mark.parametrize("columns", [{}, MUTATION])
def test_programs_are_known_by_their_question_or_their_id(
    tmp_path: Path, row: object, columns: dict[str, str]
) -> None:
    prompt = "Write f.\nassert f() == 1\nassert f() != 2\ndef f():\n"
    rows = [
        stepwise(1, -1, prompt=prompt, **columns),
        stepwise(
            1, 0, prompt=prompt.replace("Write f", "Write g"), **{**columns, "task_id": "mbpp-6"}
        ),
    ]
    path = write_lines(tmp_path / "m.jsonl", rows)
    report = inspect_labelled(
        path, exclude=write_lines(tmp_path / "x.jsonl", [row, "other"])
    ).report
    named_only = row == "mbpp-601" or (isinstance(row, dict) and row.get("text") == "reworded")
    found = 0 if named_only and not columns else 1
    assert (report.exclude_listed, report.exclude_found, report.sessions) == (2, found, 2 - found)


def test_a_list_is_always_accounted_for(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [stepwise(True)])
    exclude = write_lines(tmp_path / "x.txt", ["R", "S", "R "])
    assert read_labelled(path, exclude=exclude).report.notes == [
        "to exclude: 0 of 2 listed problems found"
    ]


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


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("mbpp/mbpp.jsonl.gz", 970),
        ("svamp/test.jsonl.gz", None),
        ("math_shepherd/format_sample.jsonl", None),
    ],
)
def test_official_files_are_lists(data_folder: Path, name: str, listed: int | None) -> None:
    found = read_problems(data_folder / name)
    assert listed is None or len(set(found.values())) == listed
