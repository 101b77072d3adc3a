from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.labels.kinds import LabelSurvey, convert_labels, decide_kind
from stepnav.labels.reader import read_labelled
from stepnav.labels.records import LabelKind
from tests.labels.label_files import stepwise, write_lines


@pytest.mark.parametrize(
    ("rows", "kind", "labels"),
    [
        ([[True, False], [None, True]], "correct", [(1, -1), (None, 1)]),
        ([[1, 0], [-1, None]], "rating", [(1, 0), (-1, None)]),
        ([[-1, 0]], "rating", [(-1, 0)]),
        ([[1, -1], [1, None]], "correct", [(1, -1), (1, None)]),
        ([[1, 0], [0, 1]], "correct", [(1, -1), (-1, 1)]),
        ([[0.7, 0.0], [1.0, None]], "value", [(0.7, 0.0), (1.0, None)]),
    ],
)
def test_kinds_are_told_by_the_whole_file(
    tmp_path: Path, rows: list[list[object]], kind: str, labels: list[object]
) -> None:
    data = read_labelled(write_lines(tmp_path / "s.jsonl", [stepwise(*row) for row in rows]))
    assert data.kind == kind
    found = [record.labels for record in data.records]
    assert repr(found) == repr(labels)  # 1, 1.0 and True are equal


@pytest.mark.parametrize(
    ("kind", "given", "labels"),
    [
        ("rating", [0, 1, None], (0, 1, None)),
        ("rating", [-1.0, 0.0, 1.0], (-1, 0, 1)),
        ("correct", [0, 1, None], (-1, 1, None)),
        ("correct", [-1, 1, True], (-1, 1, 1)),
        ("value", [0, 1, 0.25, True], (0.0, 1.0, 0.25, 1.0)),
    ],
)
def test_who_knows_better_says_so(
    tmp_path: Path, kind: LabelKind, given: list[object], labels: tuple[object, ...]
) -> None:
    path = write_lines(tmp_path / "s.jsonl", [stepwise(*given)])
    data = read_labelled(path, kind=kind)
    assert (data.kind, data.report.kind_rule) == (kind, "given")
    assert repr(data.records[0].labels) == repr(labels)


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ([[1], [2]], None, "line 2: the label 2 is out of range"),
        ([[0.5], [1.5]], None, "line 2: the label 1.5 is out of range"),
        ([[0.5], [float("nan")]], None, "line 2: the label nan is out of range"),
        ([[1.0], [-1.0]], None, "line 2: the label -1.0 is out of range"),
        ([[0.5], [1]], None, "line 2: the label 1 is of another kind than 0.5 ("),
        ([[True], [None], [0.5]], None, "line 3: the label 0.5 is of another kind than true ("),
        ([[0], [False]], None, "line 2: the label false is of another kind than 0 ("),
        ([[1], [0.5]], "rating", "line 2: the label 0.5 is not -1, 0 or 1"),
        ([[1], [True]], "rating", "line 2: the label true is not -1, 0 or 1"),
        ([[1], [0.5]], "correct", "line 2: the label 0.5 is not true or false"),
        ([[1, -1], [0]], "correct", "line 2: 0 stands beside -1 ("),
        ([[1.0, -1.0], [0.0]], "correct", "line 2: 0 stands beside -1 ("),
        ([[1, 0.0], [-1]], "correct", "line 1: 0 stands beside -1 ("),
        ([[0.5], [-1.0]], None, "line 2: the label -1.0 is out of range"),
        ([[0.0], [1]], None, "line 2: the label 1 is of another kind than 0.0 ("),
        ([[1], [-1]], "value", "line 2: the label -1 is not a number in [0, 1]"),
        ([[None], [None]], None, "not one step has a label"),
        ([[None], [None]], "rating", "2 sessions without a label"),
    ],
)
def test_labels_out_of_range_and_mixed_kinds_are_errors_that_name_the_line(
    tmp_path: Path, rows: list[list[object]], kind: LabelKind | None, message: str
) -> None:
    path = write_lines(tmp_path / "s.jsonl", [stepwise(*row) for row in rows])
    with pytest.raises(DataError) as caught:
        read_labelled(path, kind=kind)
    assert message in str(caught.value)


def test_the_rule_that_may_be_wrong_is_told(tmp_path: Path) -> None:
    data = read_labelled(write_lines(tmp_path / "s.jsonl", [stepwise(1, 0)]))
    assert any("if it is neutral, say --labels rating" in note for note in data.report.notes)
    data = read_labelled(write_lines(tmp_path / "s.jsonl", [stepwise(1, -1)]))
    assert data.report.notes == []
    data = read_labelled(write_lines(tmp_path / "s.jsonl", [stepwise(1), stepwise(1)]))
    assert (data.kind, data.report.kind_rule) == ("correct", "all labels are 1")
    assert data.report.notes == []


def test_places_are_those_where_a_kind_begins() -> None:
    survey = LabelSurvey()
    for place, label in (("one", 1), ("two", 0), ("three", True), ("four", 0.5)):
        survey.add(place, [None, label])
    with pytest.raises(DataError, match=r"three: the label true is of another kind than 1 \(one\)"):
        decide_kind(Path("f"), survey)


def test_rows_may_say_what_their_labels_are(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    data = read_labelled(write_lines(path, [stepwise(0, 1, label_kind="rating"), stepwise(1)]))
    assert (data.kind, data.report.kind_rule) == ("rating", "the file says so")
    assert data.records[0].labels == (0, 1)
    with pytest.raises(ConfigError, match=r"labels are of kind rating \(got --labels correct\)"):
        read_labelled(path, kind="correct")
    write_lines(path, [stepwise(1, label_kind="rating"), stepwise(1, label_kind="value")])
    with pytest.raises(DataError, match=r"line 2: label_kind is value, but rating in .*line 1"):
        read_labelled(path)
    write_lines(path, [stepwise(1), stepwise(1, label_kind="ratings")])
    assert "label_kind must be one of" in read_labelled(path).report.malformed_rows[0].reason


def test_masked_steps_stay_masked() -> None:
    for kind in ("rating", "correct", "value"):
        assert convert_labels((None, 1), kind, "here") == (None, 1)  # type: ignore[arg-type]
