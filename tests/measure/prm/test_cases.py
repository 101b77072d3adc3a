"""Reading evaluation files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.files.parquet import write_table
from stepnav.files.rows import BadRow, FileRow, read_rows
from stepnav.measure.prm import cases as reading
from stepnav.measure.prm.cases import read_cases, recognise
from tests.measure.prm import reward_files
from tests.measure.prm.reward_files import write

BENCH = {"problem": "1 + 1?", "steps": ["2", "#### 2"], "label": -1}
STEPWISE = {"prompt": "1 + 1?", "completions": ["2"], "labels": [1]}
SOLUTION = {"problem_id": "p", "problem": "1 + 1?", "text": "2\n\n#### 2\n", "is_correct": True}


def test_each_kind_is_recognised_and_read(tmp_path: Path) -> None:
    files = {
        "processbench": reward_files.processbench(tmp_path / "a.jsonl", 3),
        "prm800k": reward_files.stepwise(tmp_path / "b.jsonl", 3),
        "best-of-n": reward_files.best_of_n(tmp_path / "c.jsonl", 3),
    }
    for kind, path in files.items():
        assert recognise(path) == kind
        cases = read_cases(path)
        assert cases.kind == kind
        assert cases.num_problems == 3
        assert len(cases.items) == (12 if kind == "best-of-n" else 6)


@pytest.mark.parametrize("container", ["lines", "list", "zipped", "parquet"])
@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("processbench", BENCH),
        ("best-of-n", SOLUTION),
        ("prm800k", STEPWISE),
        ("prm800k", {"input": "1 + 1? Step 1: 2 ки", "label": "1 + 1? Step 1: 2 +"}),
    ],
)
def test_each_kind_is_read_in_any_container(
    tmp_path: Path, kind: str, row: dict[str, object], container: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps([row]) if container == "list" else json.dumps(row) + "\n")
    if container == "zipped":
        path.write_bytes(gzip.compress(path.read_bytes()))
    if container == "parquet":
        pa = pytest.importorskip("pyarrow")
        write_table(path, pa.Table.from_pylist([row]))
    assert (recognise(path), read_cases(path).num_problems) == (kind, 1)


def test_a_file_is_not_held_twice_to_recognise_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    most: list[int] = []

    def read(path: Path) -> Iterator[FileRow | BadRow]:
        held.append(1)
        most.append(len(held))
        try:
            yield from read_rows(path)
        finally:
            held.pop()

    monkeypatch.setattr(reading, "read_rows", read)
    assert recognise(reward_files.stepwise(tmp_path / "a.jsonl", 3)) == "prm800k"
    assert most == [1, 1]


def test_step_labels_behind_a_row_of_something_else_are_recognised(tmp_path: Path) -> None:
    assert recognise(write(tmp_path / "a.jsonl", [{"comment": "made today"}, STEPWISE])) == (
        "prm800k"
    )


def test_processbench_fields(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{**BENCH, "id": "x", "label": 1}, BENCH])
    first, second = read_cases(path).items
    assert (first.id, first.first_error, first.steps) == ("x", 1, ("2", "#### 2"))
    assert (second.id, second.first_error) == ("row 2", None)
    steps = first.trajectory.steps
    assert [step.text for step in steps] == ["2\n", "#### 2"]
    assert first.trajectory.is_finished


def test_a_solutions_text_is_split_into_lines(tmp_path: Path) -> None:
    (case,) = read_cases(write(tmp_path / "a.jsonl", [SOLUTION])).items
    assert case.steps == ("2", "#### 2")
    assert case.graded is not None and case.graded.is_correct is True


def test_no_answer_is_not_the_same_as_nothing_said_of_it(tmp_path):
    rows = [SOLUTION, {**SOLUTION, "answer": None}, {**SOLUTION, "answer": 2}]
    silent, none, two = read_cases(write(tmp_path / "a.jsonl", rows)).items
    assert [case.is_unanswered for case in (silent, none, two)] == [False, True, False]
    assert [case.graded.answer for case in (silent, none, two)] == [None, None, "2"]


def test_scores_may_stand_without_steps(tmp_path: Path) -> None:
    row = {"problem_id": 7, "is_correct": True, "scores": [0.5, 1]}
    (case,) = read_cases(write(tmp_path / "a.jsonl", [row])).items
    assert case.group == "7" and len(case.steps) == 2
    assert case.graded is not None and case.graded.scores == (0.5, 1.0)


def test_a_limit_counts_problems(tmp_path: Path) -> None:
    path = reward_files.best_of_n(tmp_path / "a.jsonl", 5)
    assert len(read_cases(path, limit=2).items) == 8
    assert len(read_cases(path, limit=99).items) == 20


def test_the_digest_changes_with_what_is_compared(tmp_path: Path) -> None:
    first = read_cases(write(tmp_path / "a.jsonl", [BENCH])).digest
    assert read_cases(write(tmp_path / "b.jsonl", [BENCH])).digest == first
    assert read_cases(write(tmp_path / "c.jsonl", [{**BENCH, "label": 0}])).digest != first


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**BENCH, "label": 2}, "label must be -1 or the number of a step, 0 to 1 (got 2)"),
        ({**BENCH, "label": -2}, "got -2"),
        ({**BENCH, "label": True}, "got True"),
        ({**BENCH, "label": "1"}, "got '1'"),
        ({**BENCH, "steps": []}, "steps must be a list"),
        ({**BENCH, "steps": "2"}, "steps must be a list"),
        ({**BENCH, "problem": " "}, "problem must be text"),
        ({**SOLUTION, "is_correct": 1}, "is_correct must be true, false or null (got 1)"),
        ({**SOLUTION, "scores": [0.5]}, "2 steps but 1 scores"),
        ({**SOLUTION, "scores": [0.5, 1.5]}, "a score must be a number in [0, 1] (got 1.5)"),
        ({**SOLUTION, "scores": [0.5, float("nan")]}, "got nan"),
        ({**SOLUTION, "scores": []}, "scores must be a list"),
        ({**SOLUTION, "text": 3}, "text must be text"),
        ({**SOLUTION, "answer": [2]}, "answer must be text or a number"),
        ({**SOLUTION, "problem_id": None}, "problem_id must be text"),
        ({"is_correct": True, "text": "2"}, "no field 'problem'"),
        ({"is_correct": True, "problem_id": "p"}, "needs steps, text or scores"),
        ({"prompt": "1 + 1?"}, "its fields (prompt) are none of"),
        ([1], "line 1: expected an object (got list)"),
    ],
)
def test_a_bad_row_is_one_line(tmp_path: Path, row: object, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError) as caught:
        read_cases(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [BENCH, {**BENCH, "label": 5}])
    with pytest.raises(DataError, match="line 2: label must be"):
        read_cases(path)
    path.write_text(json.dumps(BENCH) + '\n{"problem": "1')
    with pytest.raises(DataError, match="line 2: not valid JSON"):
        read_cases(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"problem": "\\ud83d"}', "1: half of a surrogate pair"),
        ('{"label": ' + "1" * 5000 + "}", "not usable JSON"),
        ("[" * 100_000, "not usable JSON"),
    ],
)
def test_json_that_no_model_can_read_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataError, match=reason):
        read_cases(path)
    path.write_text("[" + line + "]")
    with pytest.raises(DataError, match=reason):
        read_cases(path)


def test_nothing_graded_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{**SOLUTION, "is_correct": None}])
    with pytest.raises(DataError, match="no solution is graded"):
        read_cases(path)


def test_a_line_is_split_at_line_ends_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{**SOLUTION, "text": "a = \x0crac{1}{2}\r\nb\u2028c\nd"}])
    (case,) = read_cases(path).items
    assert case.steps == ("a = \x0crac{1}{2}", "b\u2028c", "d")


def test_step_labels_may_be_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"prompt": "q", "completions": ["a", "b"], "labels": [1, -1]}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = read_cases(tmp_path / "a.parquet")
    assert (found.kind, len(found.items)) == ("prm800k", 1)


@pytest.mark.parametrize("kind", [None, "processbench", "prm800k", "best-of-n"])
def test_an_empty_or_missing_file(tmp_path: Path, kind: str | None) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(DataError):
        read_cases(empty, kind=kind)
    with pytest.raises(DataError):
        read_cases(tmp_path / "nothing.jsonl", kind=kind)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    packed = gzip.compress(
        b"".join(json.dumps({**BENCH, "id": n}).encode() + b"\n" for n in range(999))
    )
    path.write_bytes(packed[:-20])
    with pytest.raises(DataError, match="truncated or damaged"):
        read_cases(path)


def test_labels_out_of_range_or_of_another_length(tmp_path: Path) -> None:
    for bad in ({"labels": [2]}, {"labels": [1, 1]}, {"completions": []}):
        path = write(tmp_path / "a.jsonl", [{**STEPWISE, **bad}])
        with pytest.raises(DataError):
            read_cases(path)


def test_what_the_labels_are_can_be_said(tmp_path: Path) -> None:
    rows = [{**STEPWISE, "completions": ["2", "3"], "labels": [1, 0]}]
    path = write(tmp_path / "a.jsonl", rows)
    assert read_cases(path).items[0].labels == (1, -1)
    assert read_cases(path, labels="rating").items[0].labels == (1, 0)
    with pytest.raises(ConfigError, match="--labels is for step labels"):
        read_cases(write(tmp_path / "b.jsonl", [BENCH]), labels="rating")


def test_a_solution_with_step_labels_is_whole_where_its_row_says_so(tmp_path: Path) -> None:
    rows = [
        {**STEPWISE, "prompt": "a", "completions": ["### Answer: 2"]},
        {**STEPWISE, "prompt": "b", "is_finished": True},
        {**STEPWISE, "prompt": "c", "is_finished": False},
    ]
    cases = read_cases(write(tmp_path / "a.jsonl", rows))
    assert [case.trajectory.is_finished for case in cases.items] == [False, True, False]


def test_a_malformed_row_is_left_out_and_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [STEPWISE, {**STEPWISE, "labels": [1, 1]}])
    cases = read_cases(path)
    assert len(cases.items) == 1
    assert len(cases.left_out) == 1 and cases.left_out[0].startswith("row 2: ")


def test_a_split_that_is_left_out_is_named(tmp_path: Path) -> None:
    row = {"prompt": "Q", "completions": ["a"], "labels": [1], "task_id": "t", "operator": "none"}
    rows = [{**row, "verdict": "reference", "split": name} for name in ("train", "validation")]
    cases = read_cases(write(tmp_path / "m.jsonl", rows))
    assert (len(cases.items), cases.left_out) == (1, ("1 rows (split=validation)",))


def test_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--kind must be one of processbench, prmbench, prm800k"):
        read_cases(write(tmp_path / "a.jsonl", [BENCH]), kind="orm")


@pytest.mark.realdata
def test_the_real_processbench(data_folder: Path) -> None:
    cases = read_cases(data_folder / "processbench" / "gsm8k.jsonl.gz")
    assert cases.kind == "processbench"
    assert len(cases.items) == 400
    assert sum(case.first_error is not None for case in cases.items) == 207
    assert cases.items[0].id == "gsm8k-0" and cases.items[0].first_error == 1


@pytest.mark.realdata
def test_the_real_phase1_test(data_folder: Path) -> None:
    cases = read_cases(data_folder / "prm800k" / "phase1_test.jsonl.gz")
    assert (cases.kind, cases.label_kind) == ("prm800k", "rating")
    assert len(cases.items) == 5082
    assert cases.num_problems == 98  # of 101: three have no rating
    assert cases.left_out == ()
    for case in cases.items:
        assert case.labels is not None
        assert case.labels[-1] in (-1, 0, 1)
        assert set(case.labels[:-1]) <= {None}
