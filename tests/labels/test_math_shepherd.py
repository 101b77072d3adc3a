from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.files.rows import FileRow, MalformedRow
from stepnav.labels.math_shepherd import read_session
from stepnav.labels.reader import read_labelled
from stepnav.labels.records import StepRecord
from stepnav.labels.sessions import Session
from stepnav.train.heads import outcomes
from tests.labels.label_files import write_lines


def read(text: str, label: str, **more: str) -> Session:
    return read_session(FileRow(Path("m.jsonl"), 3, {"input": text, "label": label, **more}))


def signed(text: str, signs: str) -> str:
    """Return the text with a sign in the place of each tag."""
    for sign in signs:
        text = text.replace("ки", sign, 1)
    return text


def test_signs_stand_in_the_place_of_the_tags() -> None:
    text = "2 - 1 + 3? Step 1: 2 - 1 = 1 ки\nStep 2: 1 + 3 = 5 The answer is: 5 ки"
    found = read(text, signed(text, "+-"), task="GSM8K")
    assert found.records == (
        StepRecord(
            "2 - 1 + 3?",
            ("Step 1: 2 - 1 = 1", "Step 2: 1 + 3 = 5 The answer is: 5"),
            (1, -1),
            origin="m.jsonl:3",
            is_finished=True,
            is_right=False,
        ),
    )
    assert (found.num_steps, found.counts) == (2, {"task=GSM8K": 1})


def test_a_solution_is_as_right_as_its_last_step() -> None:
    text = "1 + 1 + 1? Step 1: hm ки\nStep 2: 3 The answer is: 3 ки"
    (record,) = read(text, signed(text, "-+")).records
    assert (record.labels, record.is_right, record.is_finished) == ((-1, 1), True, True)
    assert [found.labels for found in outcomes([record])[0]] == [(None, 1)]
    (record,) = read("Q? Step 1: a ки", "Q? Step 1: a +").records
    assert record.is_finished is None


def test_a_tag_in_the_problem_is_no_step() -> None:
    text = "Take x. ки Then y? Step 1: a ки\nStep 2: b ки"
    found = read(text, signed(text, "-+-"))
    (record,) = found.records
    assert record.prompt == "Take x.  Then y?"
    assert (record.completions, record.labels) == (("Step 1: a", "Step 2: b"), (1, -1))
    assert found.counts == {"tags_in_problem": 1}


def test_all_tags_in_the_problem_are_none(tmp_path: Path) -> None:
    text = "Who? ки really now ки Step 1: x ки\nStep 2: y ки"
    found = read(text, signed(text, "-++-"))
    (record,) = found.records
    assert record.prompt == "Who?  really now"
    assert (record.completions, record.labels) == (("Step 1: x", "Step 2: y"), (1, -1))
    assert found.counts == {"tags_in_problem": 2}


def test_without_a_numbered_step_the_problem_ends_at_its_question_mark() -> None:
    found = read("How many? Two of them. ки\nThree. ки", "How many? Two of them. +\nThree. -")
    (record,) = found.records
    assert (record.prompt, record.completions) == ("How many?", ("Two of them.", "Three."))
    assert found.counts == {"split_at_question_mark": 1}


def test_a_problem_that_was_cut_at_its_question_mark_is_told(tmp_path: Path) -> None:
    row = {"input": "How many? Two. ки", "label": "How many? Two. +"}
    notes = read_labelled(write_lines(tmp_path / "m.jsonl", [row])).report.notes
    assert notes == [
        'no "Step 1:" in 1 sessions: their problem was taken to end at its question mark'
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("How many? ки She has 5. ки", "step 1 has a label and is blank"),
        ("Q? Step 1: a ки\n ки\nStep 3: b ки", "step 2 has a label and is blank"),
        (" Step 1: a ки", "its problem is blank"),
    ],
)
def test_blank_texts_are_malformed(tmp_path: Path, text: str, reason: str) -> None:
    good = {"input": "Q? Step 1: a ки", "label": "Q? Step 1: a +"}
    row = {"input": text, "label": text.replace("ки", "+")}
    report = read_labelled(write_lines(tmp_path / "m.jsonl", [good, row])).report
    assert [(bad.number, bad.reason) for bad in report.malformed_rows] == [(2, reason)]
    assert (report.sessions, report.ratings) == (1, 1)


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        ("Q? Step 1: a", "Q? Step 1: a", "no step tag"),
        ("Q? Step 1: a ки b", "Q? Step 1: a + b", "text behind the last step tag: 'b'"),
        ("Q? Step 1: a ки", "Q? Step 1: b +", "differ in the text before tag 1"),
        ("Q? Step 1: a ки\nb ки", "Q? Step 1: a +\nc -", "differ in the text before tag 2"),
        ("Q? Step 1: a ки", "Q? Step 1: a ?", "'?' instead of + or - at tag 1"),
        ("Q? Step 1: a ки", "Q? Step 1: a ", "'' instead of + or - at tag 1"),
        ("Q? Step 1: a ки", "Q? Step 1: a + b", "text behind the label's last sign: 'b'"),
        ("Find x. a ки", "Find x. a +", "where its problem ends"),
        (
            "Do Step 1: add 2. Then? Step 1: 2 ки",
            "Do Step 1: add 2. Then? Step 1: 2 +",
            '2 times "Step 1:" before a tag',
        ),
    ],
)
def test_malformed_rows(text: str, label: str, reason: str) -> None:
    with pytest.raises(MalformedRow) as caught:
        read(text, label)
    assert reason in str(caught.value)


@pytest.mark.realdata
def test_official_lines(data_folder: Path) -> None:
    data = read_labelled(data_folder / "math_shepherd" / "format_sample.jsonl")
    report = data.report
    assert (data.format, data.kind, report.sessions, report.malformed) == (
        "math-shepherd",
        "correct",
        7,
        0,
    )
    assert (report.steps, report.ratings, report.labels) == (25, 25, {"-1": 20, "1": 5})
    assert data.records[0].labels == (1, 1, 1, 1, -1)
    assert data.records[0].completions[0].startswith("Step 1: Janet spends 3 hours")
    assert data.records[0].prompt.endswith("than clarinet lessons in a year?")
