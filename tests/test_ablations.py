from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import ablation_data
import ablation_report
import ablation_tables
import figures
import publish
from ablation_data import Solution
from ablation_report import USUAL


def offline(quality: float) -> dict[str, Any]:
    """Return what eval-prm would report of a model, better with quality."""

    def value(number: float) -> dict[str, Any]:
        return {"value": number, "ci95": None}

    errors = {
        "first_errors": {"misses": value(1 - quality), "false_rejections": value(0.1)},
        "negative": {"auroc": value(quality)},
        "calibration": {"negative": {"ece": value(0.2)}},
    }
    return {
        "first-errors": {
            "by_threshold": {"f1": value(quality)}, "by_rating_all": {"f1": value(quality)}
        },
        "steps": errors, "steps of few": errors, "steps of many": errors,
        "best-of-n": {"auroc": {"prod": value(quality), "last": value(0.5)}},
    }  # fmt: skip


def row(problem: str, calculations: int, right: float, strategy: str = "hgs") -> dict[str, Any]:
    return {
        "strategy": strategy, "budget": 250, "problem": problem, "calculations": calculations,
        "right": right, "before": 0.5,
    }  # fmt: skip


def cell(quality: float, rights: tuple[float, float], **changed: Any) -> dict[str, Any]:
    training = {"problems": 2, "solutions": 6, "labels": 9, "epochs": 3, "seconds": 1}
    rows = [row("a", 3, rights[0]), row("b", 8, rights[1])]
    found = {**USUAL, "seed": 0, **changed, "offline": offline(quality), "rows": rows}
    return {**found, "training": {} if found["base"] == "shipped" else training}


CELLS = [
    cell(0.9, (1.0, 1.0), base="shipped", labels=0),
    cell(0.5, (1.0, 0.0)),
    cell(0.7, (1.0, 1.0), seed=1),
    cell(0.2, (0.0, 0.0), labels=1000),
    cell(0.8, (1.0, 1.0), head="value"),
    cell(0.99, (0.0, 0.0), boundary="two lines"),
]


def found(head: str, labels: int) -> dict[str, Any]:
    (one,) = (
        one
        for one in ablation_report.summary(CELLS)
        if (one["head"], one["labels"], one["boundary"], one["base"])
        == (head, labels, "line", "finished")
    )
    return one


def test_seeds_are_joined_and_gains_are_over_what_was_before() -> None:
    usual = found("three", 10_000)
    assert usual["seeds"] == 2
    assert usual["offline"]["f1"] == {"mean": 0.6, "least": 0.5, "most": 0.7}
    gains = {one["part"]: one["gain"]["value"] for one in usual["searches"]}
    assert gains == {"all": 0.25, "few": 0.5, "many": 0.0}


def test_an_outcome_models_solutions_are_ranked_by_the_last_step() -> None:
    assert ablation_report.offline(cell(0.7, (0, 0), head="orm"))["solution_auroc"] == 0.5
    assert ablation_report.offline(cell(0.7, (0, 0)))["solution_auroc"] == 0.7


def test_correlations_are_over_models_of_one_recipe_and_boundary() -> None:
    by_figure = {one["figure"]: one for one in ablation_report.correlations(CELLS)}
    # f1 .5 .7 .2 .8 beside gains 0 .5 -.5 .5: ranks 2 3 1 4 and 2 3.5 1 3.5
    assert by_figure["f1"]["models"] == 4
    assert by_figure["f1"]["configurations"] == 3
    assert by_figure["f1"]["spearman"] == pytest.approx(4.5 / (5 * 4.5) ** 0.5)
    assert by_figure["missed"]["spearman"] == pytest.approx(-by_figure["f1"]["spearman"])
    assert by_figure["ece"]["spearman"] is None  # all alike


def test_the_report_has_every_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = argparse.Namespace(problems=2, held_out=2)
    text = ablation_tables.write_report(tmp_path, CELLS, args)
    assert "| shipped reward model | 1 | 90.0 |" in text
    assert (
        "| three classes, the finished model, 10,000 labels, line | 2 | 60.0 (50.0 to 70.0) |"
        in text
    )
    assert "| head: value | 1 | 80.0 |" in text
    assert "4 models trained alike are too few" in text
    monkeypatch.setattr(ablation_tables, "LEAST_MODELS", 4)
    text = ablation_tables.write_report(tmp_path, CELLS, args)
    assert "4 models of 3 configurations" in text
    assert "| AUROC of wrong steps | +0.95" in text
    assert (tmp_path / "ablations.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((tmp_path / "ablations.json").read_text())
    assert len(kept["rows"]) == 5


def test_pages_quote_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "results" / "ablations"
    folder.mkdir(parents=True)
    ablation_tables.write_report(folder, CELLS, argparse.Namespace(problems=2, held_out=2))
    monkeypatch.setattr(figures, "DOCS", tmp_path)
    monkeypatch.setattr(publish, "DOCS", tmp_path / "results")
    usual = "ablations three/finished/10000/line"
    assert figures.filled(f"[[{usual} hgs/250 gain]]").startswith("+25.0%")
    assert figures.filled(f"[[{usual} hgs/250 right]]").startswith("75.0%")
    assert figures.filled(f"F1 [[{usual} - f1]]") == "F1 60.0 (50.0 to 70.0)"
    assert figures.filled("[[ablations three/finished/10000/two_lines - f1]]") == "99.0"
    assert figures.filled("[[ablations ranks hgs/250 f1]]").startswith("+0.95")
    for name in (f"{usual} hgs/7 gain", f"{usual} - beauty", "ablations four/a/1/b - f1"):
        with pytest.raises(SystemExit, match=r"ablations\.json has no"):
            figures.filled(f"[[{name}]]")
    assert ablation_tables.main_table(ablation_report.summary(CELLS)) in publish.ablation_section()


def solution(labels: tuple[int, ...], steps: int, right: bool) -> Solution:
    return Solution("arithmetic-dev-0-0", "q", tuple(f"{n}\n" for n in range(steps)), labels, right)


def test_two_lines_are_one_step_that_is_as_wrong_as_its_worse_line() -> None:
    one = solution((0, 1, 0, 0, 1, -1), 7, right=False)
    record = ablation_data.step_record(one, "two lines")
    assert record.completions == ("0\n1\n", "2\n3\n", "4\n5\n")
    assert record.labels == (1, 0, -1)
    row = ablation_data.first_error_row(one, "two lines")
    assert row["steps"] == ["0\n1\n", "2\n3\n", "4\n5\n", "6\n"]
    assert row["label"] == 2
    assert ablation_data.first_error_row(one, "line")["label"] == 5


def test_an_outcome_is_the_answers_grade_at_the_last_step() -> None:
    record = ablation_data.outcome_record(solution((1, -1), 4, right=True))
    assert record.labels == (None, None, None, 1)
    assert len(record.completions) == 4


def test_solutions_are_taken_until_they_hold_the_labels() -> None:
    pool = [
        Solution(f"p{n}", "q", ("a\n",) * 3, (1, 1, 1), True) for n in range(20) for _ in range(2)
    ]
    random.Random(1).shuffle(pool)
    own = ablation_data.chosen(pool, 30, seed=3)
    assert len(own) == 10
    assert len({one.id for one in own}) == 5
    assert ablation_data.chosen(pool, 30, seed=3) == own
    assert {one.id for one in ablation_data.chosen(pool, 30, seed=4)} != {one.id for one in own}


@pytest.mark.slow
def test_a_small_run_trains_measures_and_searches_and_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ablations
    from ablations import Cell

    few = Cell(labels=20)
    planned = [
        few, replace(few, head="orm"), replace(few, base="raw", head="value"),
        replace(few, boundary="two lines"), replace(few, base="other", boundary="blank line"),
    ]  # fmt: skip
    monkeypatch.setattr(ablation_data, "SHARDS", (3,))
    monkeypatch.setattr(ablations, "planned", lambda seeds, labels: planned)
    words = ["--problems", "3", "--held-out", "3", "--least-steps", "2", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["ablations.py", *words])
    ablations.main()
    made = json.loads((tmp_path / "ablations.json").read_text())
    assert [one["labels"] for one in made["rows"]] == [20] * len(planned)
    searched = [{one["strategy"] for one in row["searches"]} for row in made["rows"]]
    both = {"hgs", "nav", "best_of_n"}
    assert searched == [both, both, both, {"best_of_n"}, both]
    outcome = json.loads((tmp_path / f"{planned[1].name}.json").read_text())["training"]
    assert outcome["labels"] == outcome["solutions"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/model/*.safetensors")}
    assert len(before) == len(planned)
    ablations.main()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((tmp_path / "ablations.json").read_text()) == made
