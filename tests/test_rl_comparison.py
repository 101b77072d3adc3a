from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import rl


def row(problem: str, right: bool, accepted: bool | None, strategy: str = "cot") -> dict[str, Any]:
    return {
        "problem": problem, "right": right, "accepted": accepted, "strategy": strategy,
        "tokens": 90, "steps": 6,
    }  # fmt: skip


BASE = [row("a", True, True), row("b", False, True), row("c", False, False), row("d", False, None)]
BETTER = [
    [row("a", True, False), row("b", True, True), row("c", False, True), row("d", False, False)],
    [row("a", True, True), row("b", True, True), row("c", True, True), row("d", False, True)],
]


def cells() -> list[dict[str, Any]]:
    spent = {"generated": 10, "learnt": 30, "updates": 2}
    log = [
        {
            "right": n / 10, "process": 0.5, "accepted_wrong": 0.1, "steps_per_solution": 6.0,
            "tokens_per_solution": 90.0,
        }
        for n in range(10)
    ]  # fmt: skip
    return [
        {"method": "base", "seed": 0, "training": {}, "log": [], "rows": BASE},
        *(
            {"method": "grpo steps", "seed": n, "training": spent, "log": log, "rows": rows}
            for n, rows in enumerate(BETTER)
        ),
    ]


def test_shares_are_of_what_they_say() -> None:
    (base, *_), (better, *_) = (
        [one for one in rl.summary(cells()) if one["method"] == name and one["strategy"] == "cot"]
        for name in ("base", "grpo steps")
    )
    assert base["right"]["value"] == 0.25
    assert base["accepted_wrong"]["value"] == 0.25
    assert base["accepted_of_wrong"]["value"] == pytest.approx(1 / 3)
    assert better["right_by_seed"] == [0.5, 0.75]
    assert better["gain"]["value"] == pytest.approx(0.625 - 0.25)
    assert better["accepted_wrong"]["value"] == pytest.approx(2 / 8)
    assert better["accepted_of_wrong"]["value"] == pytest.approx(2 / 3)
    assert better["refused_right"]["value"] == pytest.approx(1 / 8)


def test_the_report_has_every_method_that_ran(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(rl, "STRATEGIES", ("cot",))
    args = argparse.Namespace(tokens=1000, problems=4, split="dev")
    text = rl.write_report(tmp_path, cells(), args)
    assert text == (tmp_path / "report.md").read_text()
    assert "| grpo steps | cot | 62.5%" in text
    assert "| grpo steps | 2 | 10 | 30 | 2 |" in text
    assert "| grpo steps | first 5 | 20.0% | 50.0% | 10.0% | 6.00 | 90 |" in text
    assert "| grpo steps | last 5 | 70.0% |" in text
    kept = json.loads((tmp_path / "rl.json").read_text())
    assert [one["method"] for one in kept["rows"]] == ["base", "grpo steps"]
