from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from stepnav.cli import main as cli
from stepnav.core.errors import DataError
from tests.labels.label_files import alternative, session, step, write_lines

pytest.importorskip("accelerate")


@pytest.mark.parametrize("stage", ["prm", "orm"])
def test_what_is_learnt_is_chosen_as_in_inspect(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stepnav.train import finetune

    seen: list[Any] = []

    def train(model: str, records: list[Any], *rest: object, **options: object) -> None:
        seen.extend(record.completions for record in records)
        raise DataError("enough")

    monkeypatch.setattr(finetune, "finetune_reward_model", train)
    rows = [
        session(step(alternative("a", 1), alternative("b", 1, flagged=True))),
        session(step(alternative("c", 1)), finish="give_up"),
    ]
    data = write_lines(tmp_path / "p.jsonl", rows)
    exclude = write_lines(tmp_path / "x.txt", ["R"])
    words = ["train", stage, "--model", "m", "--data", data, "--out", tmp_path / "o"]
    options = ["--leave-out", "flagged,give_up", "--exclude-problems", exclude]
    for more in (options, [*options, "--format", "stepwise"]):
        monkeypatch.setattr(sys, "argv", ["stepnav", *map(str, [*words, *more])])
        with pytest.raises(SystemExit):
            cli.main()
    assert seen == [("a",)]
    notes = capsys.readouterr().err
    assert "note: to exclude: 0 of 1 listed problems found" in notes
    assert "note: left out: 1 sessions with 1 labels (give_up)" in notes
    assert "is stepwise; only PRM800K files say what --leave-out flagged,give_up means" in notes
