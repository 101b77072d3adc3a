"""PRMBench: its rows, and its figures against those worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import StepScore
from stepnav.measure.prm.case import Case
from stepnav.measure.prm.cases import read_cases, recognise
from stepnav.measure.prm.prmbench import report
from stepnav.measure.prm.prmbench_rows import CATEGORIES
from tests.cli.test_main import call, fails_with_one_line
from tests.measure.prm import reward_files

ROW = {
    "original_question": "How many?", "modified_question": "How many are there?",
    "original_process": ["1. Two.", "2. Three."],
    "modified_process": ["1. Two.", "Step 2. Three.", "3. 3.5 dollars", "4.5 is odd."],
    "modified_steps": [2], "error_steps": [2, 4], "reason": "r", "idx": "prm_test_p1_0",
    "question": "How many?", "classification": "circular",
}  # fmt: skip


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_row(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", ROW, {**ROW, "classification": "deception"}, ROW)
    assert recognise(path) == "prmbench"
    found = read_cases(path)
    assert [case.id for case in found.items] == [
        "circular_prm_test_p1_0", "deception_prm_test_p1_0",
    ]  # fmt: skip
    case = found.items[0]
    assert (case.group, case.question) == ("How many?", "How many are there?")
    assert case.steps == ("Two.", "Three.", "3.5 dollars", "4.5 is odd.")
    assert case.labels == (1, -1, 1, -1)
    assert found.left_out == ("1 rows with the category and idx of an earlier one",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classification": "rudeness"}, "classification must be one of redundency, circular"),
        ({"error_steps": [0]}, "error_steps must be numbers of steps from 1"),
        ({"error_steps": "2"}, "error_steps must be numbers of steps from 1"),
        ({"modified_process": []}, "modified_process must be a list of texts"),
        ({"modified_question": ""}, "modified_question must be text"),
    ],
)
def test_a_broken_row_is_one_line(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", ROW, {**ROW, **change})
    with pytest.raises(DataError, match=f"line 2: {message}"):
        read_cases(path)


def test_another_file_is_refused_by_the_field_that_it_lacks(tmp_path: Path) -> None:
    data = reward_files.processbench(tmp_path / "p.jsonl")
    with pytest.raises(DataError, match="line 1: no field 'modified_question'"):
        read_cases(data, kind="prmbench")
    with pytest.raises(ConfigError, match="--kind"):
        read_cases(data, kind="prmbanch")


def scored(category: str, group: str, truth: str, *values: float) -> tuple[Case, Any]:
    labels = tuple(1 if mark == "+" else -1 for mark in truth)
    case = Case(group, group, "q", ("s",) * len(truth), True, labels=labels, category=category)
    return case, tuple(StepScore(1 - value, 0.0, value) for value in values)


SCORED = [
    scored("redundency", "a", "++-", 0.9, 0.4, 0.2),  # TP 1, FN 1, TN 1
    scored("redundency", "b", "+-", 0.8, 0.7),  # TP 1, FP 1
    scored("circular", "a", "+-", 0.6, 0.1),  # TP 1, TN 1
    scored("deception", "c", "-+", 0.5, 0.51),  # TN 1 (.5 is not above .5), TP 1
    scored("multi_solutions", "b", "+++", 0.9, 0.9, 0.3),  # TP 2, FN 1
]


def test_figures_by_hand() -> None:
    found = report(SCORED)["by_threshold"]
    # redundency: F1 = 2*2/(2*2+1+1) = 2/3, negative F1 = 2*1/(2*1+1+1) = 1/2
    assert found["redundency"]["f1"] == pytest.approx(2 / 3)
    assert found["redundency"]["negative_f1"] == pytest.approx(1 / 2)
    assert found["redundency"]["prm_score"]["value"] == pytest.approx(7 / 12)
    assert found["circular"]["prm_score"]["value"] == 1
    assert found["simplicity"]["prm_score"]["value"] == pytest.approx((7 / 12 + 1) / 2)
    # multi_solutions: F1 = 2*2/(2*2+1) = 4/5, alone
    assert found["multi_solutions"]["prm_score"]["value"] == pytest.approx(4 / 5)
    assert found["sensitivity"]["prm_score"]["value"] == pytest.approx((1 + 4 / 5) / 2)
    # all steps: TP 6, FP 1, TN 3, FN 2: F1 = 12/15, negative F1 = 6/9
    assert found["overall"]["f1"] == pytest.approx(12 / 15)
    assert found["overall"]["negative_f1"] == pytest.approx(6 / 9)
    assert found["overall"]["prm_score"]["value"] == pytest.approx((12 / 15 + 6 / 9) / 2)
    low, high = found["overall"]["prm_score"]["ci95"]
    assert low < found["overall"]["prm_score"]["value"] < high
    assert "soundness" not in found


def test_the_threshold_and_the_rating() -> None:
    by_rating = report(SCORED)["by_rating"]
    strict = report(SCORED, threshold=0.55)
    assert strict["by_threshold"]["deception"]["f1"] == 0  # nothing is taken for right: 0, not -1
    assert strict["threshold_from"] == "given"
    neutral = [(SCORED[2][0], (StepScore(0.3, 0.4, 0.3), StepScore(0.4, 0.3, 0.3)))]
    assert report(neutral)["by_rating"]["circular"]["prm_score"]["value"] == 1
    assert by_rating["circular"]["prm_score"]["value"] == 1


def test_sizes() -> None:
    sizes = report(SCORED)["sizes"]
    assert sizes["overall"] == {"solutions": 5, "steps": 12, "wrong": 4}
    assert sizes["redundency"] == {"solutions": 2, "steps": 5, "wrong": 2}
    assert set(sizes) <= {"overall", *CATEGORIES}


def test_eval_prm_with_the_shipped_model(tmp_path: Path) -> None:
    data, out = reward_files.prmbench(tmp_path / "prmbench.jsonl"), tmp_path / "out"
    words = ("eval-prm", "--reward", "arithmetic", "--data", str(data), "--out", str(out))
    code, printed, err = call(*words, "--json")
    assert code == 0, err
    found = json.loads(printed)
    assert (found["kind"], found["problems"], found["solutions"]) == ("prmbench", 12, 24)
    figures = found["figures"]["by_threshold"]
    assert figures["circular"]["prm_score"]["value"] > 0.8
    assert figures["multi_solutions"]["prm_score"]["value"] > 0.9
    assert (out / "categories.png").stat().st_size > 0
    assert "multi solutions (MS)" in (out / "report.md").read_text()
    again = call(*words, "--resume", "--threshold", "0.9")
    assert again[0] == 0 and "circular (NCL)" in again[1] and "0.9 was given" in again[1]
    line = fails_with_one_line(*words, "--resume", "--dev-share", "0.5")
    assert "--dev-share is for processbench; this is prmbench" in line
