from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from stepnav.cli import main as cli
from stepnav.cli import zoo
from stepnav.cli.console import Interrupted
from stepnav.core.errors import DataError
from tests.labels.label_files import alternative, session, step, write_lines

pytest.importorskip("accelerate")

from stepnav.cli.train.training import run_training
from stepnav.train.checkpoints import STATE
from stepnav.train.fit import CHECKPOINTS
from stepnav.train.saving import TrainReport


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


@pytest.mark.parametrize(
    ("stage", "given", "said"),
    [
        ("prm", ["--neutral", "masked"], "note: --neutral changes nothing: labels of kind correct"),
        ("prm", ["--neutral", "masked", "--labels", "rating"], ""),
        ("prm", [], ""),
        ("orm", [], ""),
    ],
)
def test_neutral_is_told_to_change_nothing_where_no_label_can_be(
    stage: str,
    given: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "p.jsonl"
    data.write_text('{"prompt": "q", "completions": ["a", "b"], "labels": [1, -1]}\n')
    words = ["train", stage, "--model", tmp_path / "none", "--data", data, "--out", tmp_path / "o"]
    monkeypatch.setattr(sys, "argv", ["stepnav", *map(str, words), *given])
    with pytest.raises(SystemExit):  # there is no such model
        cli.main()
    told = capsys.readouterr().err
    assert said in told and ("--neutral" in told) == bool(said)


@pytest.mark.parametrize(
    ("step", "said"),
    [(None, "no checkpoint was saved yet"), (400, "the checkpoint of step 400 is")],
)
def test_an_interrupted_training_tells_which_checkpoint_there_is(
    step: int | None, said: str, tmp_path: Path
) -> None:
    def stop(progress: object) -> TrainReport:
        if step is not None:
            for number, name in ((200, STATE), (step, STATE), (600, "half")):
                (tmp_path / CHECKPOINTS / f"checkpoint-{number}").mkdir(parents=True)
                (tmp_path / CHECKPOINTS / f"checkpoint-{number}" / name).write_text("{}")
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=said):
        run_training(tmp_path, stop)


def test_an_interrupted_recipe_tells_which_checkpoint_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(out: Path, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stepnav.zoo.recipe.make_models", stop)
    with pytest.raises(Interrupted, match="and no checkpoint of a training yet"):
        zoo.run(out=tmp_path)
    (tmp_path / "work" / "lm").mkdir(parents=True)
    (tmp_path / "work" / "lm" / "checkpoint.pt").touch()
    with pytest.raises(Interrupted, match=r"kept in .* and the checkpoint .*lm/checkpoint\.pt"):
        zoo.run(out=tmp_path)
