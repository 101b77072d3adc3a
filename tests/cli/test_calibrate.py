"""`stepnav calibrate` on the shipped reward model and a small labelled file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.cli import calibrate
from stepnav.cli.parser.signature import flat
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Score
from stepnav.core.seeds import derive_seed
from stepnav.measure.plan_file import write_plan
from stepnav.measure.prm.scores import folder_digest
from stepnav.measure.report.write import write_parquet
from stepnav.rewards.families.label_tokens import MATH_SHEPHERD, LabelTokens
from stepnav.rewards.families.prm import PRM
from stepnav.rewards.families.recognise import read_checkpoint, recognise
from stepnav.rewards.local.reward import LocalReward
from stepnav.rewards.local.step_format import StepFormat
from stepnav.zoo import MODELS_FOLDER
from tests.cli.test_main import call, fails_with_one_line
from tests.engine.small_models import poll_all
from tests.measure.prm import reward_files
from tests.measure.rows_for_tests import PLAN, make_row
from tests.rewards import public_models


def run(data: Path | None, **options: Any) -> None:
    flat(calibrate.run)(**{"data": data, "reward": "arithmetic", "as_json": True, **options})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a copy of the shipped model that is too sure of itself by a factor."""
    folder = tmp_path / "model"
    shutil.copytree(MODELS_FOLDER / "arithmetic-prm", folder)
    StepFormat(temperature=0.25).save(folder)
    return folder


def test_a_copy_gets_the_temperature(tmp_path: Path, model: Path) -> None:
    data, out = reward_files.stepwise(tmp_path / "data.jsonl", 20), tmp_path / "new"
    code, printed, err = call(
        "calibrate", "--reward", str(model), "--data", str(data), "--out", str(out), "--json"
    )
    assert code == 0, err
    found = json.loads(printed)
    assert StepFormat.load(out).temperature == found["temperature"] > 0.25
    assert StepFormat.load(model).temperature == found["temperature_before"] == 0.25
    for part in ("fitted_on", "held_out"):
        assert found[part]["problems"] == 10
        assert found[part]["after"]["nll"]["value"] < found[part]["before"]["nll"]["value"]
    kept = json.loads((out / "calibration.json").read_text())
    assert {"folder": str(out), **kept} == found
    assert LocalReward.open(PRM, out).format.temperature == found["temperature"]
    assert (out / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.jsonl", "model", "new"]


def test_in_place_and_then_again_there_is_nothing_left_to_do(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = reward_files.stepwise(tmp_path / "data.jsonl", 20)
    run(data, reward=str(model))
    first = json.loads(capsys.readouterr().out)
    run(data, reward=str(model))
    second = json.loads(capsys.readouterr().out)
    assert second["temperature_before"] == first["temperature"]
    assert second["temperature"] == pytest.approx(first["temperature"], rel=0.01)
    after, before = first["held_out"]["after"], second["held_out"]["before"]
    assert before["nll"]["value"] == pytest.approx(after["nll"]["value"], rel=1e-3)


def test_first_errors_of_processbench_are_labels_too(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(reward_files.processbench(tmp_path / "data.jsonl", 20), reward=str(model), as_json=False)
    printed = capsys.readouterr().out
    assert "held out, after" in printed and "Temperature" in printed
    assert StepFormat.load(model).temperature > 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name a new folder with --out"),
        ({"reward": "likelihood:somewhere"}, "has no temperature"),
        ({"reward": "oracle"}, "has no temperature"),
        ({"reward": "judge:arithmetic"}, "has no temperature"),
        ({"reward": "mine.py:reward"}, "has no temperature"),
        ({"reward": "arithmetik", "out": Path("new")}, "no model folder"),
        ({"fit_share": 1.0, "out": Path("new")}, "--fit-share must be above 0 and below 1"),
        ({"fit_share": float("nan"), "out": Path("new")}, "--fit-share must be"),
    ],
)
def test_bad_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        run(reward_files.stepwise(tmp_path / "data.jsonl", 2), **options)
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_bad_data(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ConfigError, match="best-of-n files have none"):
        run(reward_files.best_of_n(tmp_path / "a.jsonl", 2), reward=str(model))
    with pytest.raises(DataError, match="has one problem"):
        run(reward_files.stepwise(tmp_path / "b.jsonl", 1), reward=str(model))
    assert StepFormat.load(model).temperature == 0.25


def test_a_folder_that_is_taken_is_refused(tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("...")
    with pytest.raises(ConfigError, match="not an empty folder"):
        run(reward_files.stepwise(tmp_path / "b.jsonl", 2), reward=str(model), out=out)


def test_a_copy_into_the_model_itself_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ConfigError, match="in the model's own folder"):
        run(reward_files.stepwise(tmp_path / "b.jsonl", 2), reward=str(model), out=model / "copy")
    assert not (model / "copy").exists()


def test_a_model_of_the_hub_is_not_changed(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepnav.build.reward_folder", lambda name: model)
    with pytest.raises(ConfigError, match="of the hub is not changed"):
        run(reward_files.stepwise(tmp_path / "b.jsonl", 2), reward="owner/name")


def test_a_folder_without_a_step_format_is_refused(tmp_path: Path, model: Path) -> None:
    (model / "stepnav_prm.json").unlink()
    data = reward_files.stepwise(tmp_path / "b.jsonl", 2)
    with pytest.raises(ConfigError, match=r"has no stepnav_prm\.json"):
        run(data, reward=f"prm:{model}")
    with pytest.raises(ConfigError, match="of the family token-classes, and only prm"):
        run(data, reward=str(model))


def test_a_family_whose_temperature_would_not_be_read_is_refused(
    tmp_path: Path, model: Path
) -> None:
    """Scores of another family than the one that reads the file would be fitted."""
    data = reward_files.stepwise(tmp_path / "b.jsonl", 20)
    before = (model / "stepnav_prm.json").read_text()
    for out in (None, tmp_path / "new"):
        with pytest.raises(ConfigError, match="of the family token-classes, and only prm"):
            run(data, reward=f"token-classes:{model}", out=out)
    assert (model / "stepnav_prm.json").read_text() == before
    assert not (tmp_path / "new").exists()


def test_a_model_with_label_tokens_keeps_its_temperature_in_its_own_file(tmp_path: Path) -> None:
    folder = public_models.math_shepherd(tmp_path / "mine")
    backend = LocalReward.open(MATH_SHEPHERD, folder, device="cpu")
    with (tmp_path / "data.jsonl").open("w") as file:
        for number in range(12):  # labels as the model's own ratings, with one mistake in each
            steps = [f"{number} + {part} = {number + part}" for part in range(4)]
            question = f"What is {number}?"
            backend.submit(0, Score(Trajectory(Problem("p", question), tuple(map(Step, steps)))))
            probs = [item.positive_prob for item in poll_all(backend, 1)[0].items]
            labels = [(prob > 0.5) != (part == 0) for part, prob in enumerate(probs)]
            row = {"prompt": question, "completions": steps, "labels": labels}
            file.write(json.dumps(row) + "\n")
    run(tmp_path / "data.jsonl", reward=f"math-shepherd:{folder}", out=tmp_path / "new")
    found = LabelTokens.load(tmp_path / "new").temperature
    kept = json.loads((tmp_path / "new" / "calibration.json").read_text())
    assert found == kept["temperature"] != kept["temperature_before"] == 1.0
    assert not (tmp_path / "new" / "stepnav_prm.json").exists()
    assert not (folder / "stepnav_label_tokens.json").exists()
    assert recognise(read_checkpoint(tmp_path / "new")) == "math-shepherd"


def test_a_full_disk_leaves_no_half_made_model(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path, **options: Any) -> None:
        target.mkdir()
        (target / "config.json").write_text("half")
        raise OSError(28, "No space left on device")

    data = reward_files.stepwise(tmp_path / "b.jsonl", 20)
    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(DataError, match=r"cannot write .*; free some space"):
        run(data, reward=str(model), out=tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.jsonl", "model"]


def write_run(folder: Path, model: Path, is_right: Callable[[int], bool]) -> None:
    """Write 200 searches by nav that say 0.5 to 0.9, with a reward model as it is now."""
    folder.mkdir()
    rows = [
        make_row("nav", problem_id=f"p{n}", right_prob=0.5 + n / 500, correct=is_right(n))
        for n in range(200)
    ]
    write_parquet(folder / "results.parquet", rows)
    write_plan(replace(PLAN, settings={"reward_digest": folder_digest(model)}), folder)


def test_a_run_fits_how_likely_an_answer_of_nav_is_right(tmp_path: Path, model: Path) -> None:
    runs, out = tmp_path / "run", tmp_path / "new"
    (model / "stepnav_strategies.json").unlink()
    write_run(runs, model, lambda n: n % 10 > 0)
    code, printed, err = call(
        "calibrate", "--reward", str(model), "--run", str(runs), "--out", str(out), "--json"
    )
    assert code == 0, err
    found = json.loads(printed)
    assert found["fitted_on"] == "arithmetic/test"
    assert found["before"]["ece"] > 0.15 > found["held_out"]["ece"]
    assert (runs / "right_prob_fitted.png").stat().st_size > 5000
    nav, hgs = build.with_measured([build.strategy("nav"), build.strategy("hgs")], str(out))
    assert nav.options == found["options"]
    assert not hgs.options
    [own] = build.with_measured([build.parse_strategy("nav:right_offset=2")], str(out))
    assert own.options["right_offset"] == 2.0
    assert not build.with_measured([build.strategy("nav")], str(model))[0].options


def test_a_run_of_another_reward_model_is_refused(tmp_path: Path, model: Path) -> None:
    run_folder = tmp_path / "run"
    write_run(run_folder, model, lambda n: n % 10 > 0)  # with the map that ships
    for _ in range(2):  # the map that is stored is another one, the model is not
        run(None, reward=str(model), from_run=run_folder)
    before = (model / "stepnav_strategies.json").read_text()
    StepFormat(temperature=3.0).save(model)
    with pytest.raises(ConfigError, match=r"went by the reward model tiny-prm \(digest .*, not by"):
        run(None, reward=str(model), from_run=run_folder)
    (run_folder / "run.toml").unlink()
    with pytest.raises(DataError, match=r"it has no run\.toml"):
        run(None, reward=str(model), from_run=run_folder)
    assert (model / "stepnav_strategies.json").read_text() == before


@pytest.mark.parametrize(
    ("is_right", "said"),
    [
        (lambda n: n < 100, "tells nothing on the 200 searches"),
        (lambda n: n * 37 % 500 < 250 + n, "no truer by a map of these 200 searches"),
    ],
)
def test_a_map_that_would_mend_nothing_is_not_stored(
    tmp_path: Path, model: Path, is_right: Callable[[int], bool], said: str
) -> None:
    before = (model / "stepnav_strategies.json").read_text()
    write_run(tmp_path / "run", model, is_right)
    with pytest.raises(DataError, match=said):
        run(None, reward=str(model), from_run=tmp_path / "run")
    assert (model / "stepnav_strategies.json").read_text() == before


def test_what_is_in_no_figure_is_said(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = reward_files.stepwise(tmp_path / "data.jsonl", 20)
    with data.open("a") as file:
        file.write('{"prompt": "q", "completions": ["a"], "labels": []}\n')
        file.write(json.dumps({"prompt": "q", "completions": ["7 " * 5000], "labels": [1]}) + "\n")
    run(data, reward=str(model))
    said = capsys.readouterr().err
    assert "note: left out: row 41: " in said
    assert "note: 1 of 41 solutions could not be scored and are in no figure; the first: " in said


def test_options_that_a_run_has_no_use_for_are_refused(tmp_path: Path, model: Path) -> None:
    words = ("calibrate", "--reward", str(model), "--run", str(tmp_path))
    idle = ("--fit-share", "0.5", "--problems", "2", "--labels", "rating")
    assert "leave --fit-share, --labels, --problems out" in fails_with_one_line(*words, *idle)


def test_a_temperature_that_only_fits_is_not_stored(tmp_path: Path, model: Path) -> None:
    """Half of the problems are labelled by another rule than the other."""
    rows = [json.loads(line) for line in reward_files.stepwise(
        tmp_path / "a.jsonl", 20).read_text().splitlines()]  # fmt: skip
    problems = sorted({row["prompt"] for row in rows}, key=lambda p: derive_seed(0, "calibrate", p))
    StepFormat(temperature=1.0).save(model)
    for row in rows:
        if row["prompt"] in problems[:10]:
            row["labels"][0] = -row["labels"][0]
    data = reward_files.write(tmp_path / "b.jsonl", rows)
    with pytest.raises(
        DataError, match=r"no temperature helps: .* held out .* nothing was changed"
    ):
        run(data, reward=str(model))
    assert StepFormat.load(model).temperature == 1.0


def test_what_to_fit_on_is_named_once(model: Path, tmp_path: Path) -> None:
    for more in ((), ("--run", str(tmp_path), "--data", str(tmp_path / "data.jsonl"))):
        code, _, err = call("calibrate", "--reward", str(model), *more)
        assert code == 2
        assert "--data FILE or --run FOLDER" in err
