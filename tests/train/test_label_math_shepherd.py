from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.train.label_math_shepherd import read_session
from stepnav.train.label_rows import MalformedRow, Row
from stepnav.train.label_sessions import Session
from stepnav.train.labels import read_labelled
from stepnav.train.records import StepRecord


def read(text: str, label: str, **more: str) -> Session:
    return read_session(Row(Path("m.jsonl"), 3, {"input": text, "label": label, **more}))


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
        ),
    )
    assert (found.num_steps, found.counts) == (2, {"task=GSM8K": 1})


def test_a_tag_in_the_problem_is_no_step() -> None:
    text = "Take x. ки Then y? Step 1: a ки\nStep 2: b ки"
    found = read(text, signed(text, "-+-"))
    (record,) = found.records
    assert record.prompt == "Take x.  Then y?"
    assert (record.completions, record.labels) == (("Step 1: a", "Step 2: b"), (1, -1))
    assert found.counts == {"tags_in_problem": 1}


def test_without_a_numbered_step_the_problem_ends_at_its_question_mark() -> None:
    found = read("How many? Two of them. ки\nThree. ки", "How many? Two of them. +\nThree. -")
    (record,) = found.records
    assert (record.prompt, record.completions) == ("How many?", ("Two of them.", "Three."))
    assert found.counts == {"split_at_question_mark": 1}


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
        (" Step 1: a ки", " Step 1: a +", "no problem before its first step"),
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
