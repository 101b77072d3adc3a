"""`stepnav eval-prm` over small files of the embedded task."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.cli import eval_prm
from stepnav.cli.console import Interrupted
from stepnav.cli.parser.signature import flat
from stepnav.core.backend import Answer
from stepnav.core.errors import BackendError, ConfigError, DataError
from stepnav.core.records import StepScore
from stepnav.rewards.scripted import ScriptedReward
from stepnav.zoo import MODELS_FOLDER
from tests.cli.test_main import call, fails_with_one_line
from tests.measure.prm import reward_files


def run(data: Path, out: Path, **options: Any) -> None:
    usual = {"reward": "arithmetic", "resume": True, "as_json": True}
    flat(eval_prm.run)(data=data, out=out, **{**usual, **options})


def report(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())  # type: ignore[no-any-return]


def test_processbench_with_the_shipped_model(tmp_path: Path) -> None:
    data, out = reward_files.processbench(tmp_path / "data.jsonl"), tmp_path / "out"
    code, printed, err = call(
        "eval-prm", "--reward", "arithmetic", "--data", str(data), "--out", str(out), "--json"
    )
    assert code == 0, err
    found = json.loads(printed)
    assert found == report(out)
    assert found["kind"] == "processbench"
    assert (found["problems"], found["solutions"], found["scored"]) == (12, 24, 24)
    assert found["unscored"] == [] and found["reward_tokens"] > 0
    figures = found["figures"]
    assert figures["dev"]["problems"] == 3 and figures["test"]["problems"] == 9
    assert figures["by_threshold"]["f1"]["value"] > 0.7
    assert figures["by_rating"]["error_accuracy"]["value"] > 0.7
    for name in ("report.md", "threshold.png", "scores.jsonl"):
        assert (out / name).stat().st_size > 0
    # again: nothing is scored, so the model is not even opened
    words = ("eval-prm", "--reward", "arithmetic", "--data", str(data), "--out", str(out))
    assert "is there already; add --resume" in fails_with_one_line(*words)
    again = call(*words, "--resume")
    assert again[0] == 0 and "solutions/s" not in again[2]
    assert report(out) == found
    assert "The threshold" in again[1] and "First errors" in again[1]


def test_step_labels_with_the_shipped_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(reward_files.stepwise(tmp_path / "data.jsonl"), out, as_json=False)
    figures = report(out)["figures"]
    assert figures["negative"]["auroc"]["value"] > 0.9
    assert figures["classes"]["1"]["f1"]["value"] > 0.9
    assert sum(map(sum, figures["confusion"]["rows_true_columns_rated"])) == figures["steps"]
    assert "AUROC of -1" in capsys.readouterr().out
    assert "reliability.png" in (out / "report.md").read_text()


def test_best_of_n_scored_by_a_model_or_by_the_file(tmp_path: Path) -> None:
    data = reward_files.best_of_n(tmp_path / "data.jsonl", 4, scores=True)
    run(data, tmp_path / "model")
    run(data, tmp_path / "file", reward=None)
    by_model, by_file = report(tmp_path / "model"), report(tmp_path / "file")
    assert by_model["reward_digest"] and by_file["reward_digest"] is None
    for found in (by_model, by_file):
        rows = {row["n"]: row for row in found["figures"]["n"]}
        assert rows[1]["prod"]["value"] == pytest.approx(0.5)
        assert rows[4]["min"]["value"] == pytest.approx(1.0)
        assert rows[2]["pass"]["value"] == pytest.approx(5 / 6)


def test_likelihood_is_a_reward_too(tmp_path: Path) -> None:
    policy = MODELS_FOLDER / "arithmetic-policy"
    data = reward_files.processbench(tmp_path / "data.jsonl", 4)
    run(data, tmp_path / "out", reward=f"likelihood:{policy}")
    assert report(tmp_path / "out")["reward_kind"] == "likelihood"
    with pytest.raises(DataError, match="made with other settings"):
        run(data, tmp_path / "out", reward="arithmetic")


def test_a_function_is_a_reward_too(tmp_path: Path) -> None:
    data = reward_files.best_of_n(tmp_path / "data.jsonl", 3)
    mine, out = tmp_path / "mine.py", tmp_path / "out"
    code = "def rate(question, steps):\n    return [0.5] * len(steps)\nagain, number = rate, 3\n"
    mine.write_text(code)
    run(data, out, reward=f"{mine}:rate")
    found = report(out)
    assert found["scored"] == 12 and found["reward_kind"] == "own:rate"
    run(data, out, reward=f"{mine}:rate")
    with pytest.raises(DataError, match=r"made with other settings .reward_kind"):
        run(data, out, reward=f"{mine}:again")
    mine.write_text(f"{code}# another\n")
    with pytest.raises(DataError, match=r"made with other settings .reward_digest"):
        run(data, out, reward=f"{mine}:rate")
    mine.write_text(code)
    with pytest.raises(ConfigError, match=r"rate is a function: no model is run; leave --dtype"):
        run(data, out, reward=f"{mine}:rate", dtype="bfloat16")
    with pytest.raises(ConfigError, match=r"must be a name, .* a function or a backend .got 3"):
        run(data, tmp_path / "new", reward=f"{mine}:number")
    assert not (tmp_path / "new").exists()


class OnePerPoll(ScriptedReward):
    """Answers one request per poll and is interrupted after some."""

    def __init__(self, stop_after: int | None) -> None:
        super().__init__(lambda t: StepScore(0.1, 0.1, 0.8))
        self.stop_after = stop_after
        self.num_answered = 0

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        if self.num_answered == self.stop_after:
            raise KeyboardInterrupt
        self.num_answered += 1
        ticket, request = self._waiting.popleft()
        return [(ticket, self._answer(request.trajectory))]


def test_interrupted_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = reward_files.stepwise(tmp_path / "data.jsonl", 4), tmp_path / "out"
    first, second = OnePerPoll(5), OnePerPoll(None)
    monkeypatch.setattr(build, "open_reward", lambda name, **options: first)
    with pytest.raises(Interrupted, match="5 of 8 solutions are scored and kept; go on with: "):
        run(data, out)
    monkeypatch.setattr(build, "open_reward", lambda name, **options: second)
    run(data, out)
    assert second.num_answered == 3
    assert report(out)["scored"] == 8


def test_what_cannot_be_scored_is_counted_not_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refuses(ScriptedReward):
        def _answer(self, trajectory: Any) -> Any:
            is_refused = trajectory.problem.id in refused
            return BackendError("too long") if is_refused else super()._answer(trajectory)

    refused = {"case-1"}
    backend = Refuses(lambda t: StepScore(0.1, 0.1, 0.8))
    monkeypatch.setattr(build, "open_reward", lambda name, **options: backend)
    data = reward_files.processbench(tmp_path / "data.jsonl", 4)
    run(data, tmp_path / "out")
    found = report(tmp_path / "out")
    assert found["unscored"] == [{"id": "case-1", "reason": "too long"}]
    assert found["scored"] == 7
    figures = found["figures"]
    assert figures["dev"]["solutions"] + figures["test"]["solutions"] == 7
    assert "1 of 8 solutions could not be scored" in capsys.readouterr().err
    assert "case-1 (too long)" in (tmp_path / "out" / "report.md").read_text()
    refused.update(f"case-{n}" for n in range(8))
    with pytest.raises(DataError, match="no solution could be scored; the first: too long"):
        run(data, tmp_path / "other")


def test_a_changed_model_or_file_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(MODELS_FOLDER / "arithmetic-prm", model)
    data, out = reward_files.processbench(tmp_path / "data.jsonl", 2), tmp_path / "out"
    run(data, out, reward=str(model))
    format_file = model / "stepnav_prm.json"
    fields = json.loads(format_file.read_text())
    format_file.write_text(json.dumps({**fields, "temperature": 2.0}))
    with pytest.raises(DataError, match=r"other settings .reward_digest"):
        run(data, out, reward=str(model))
    format_file.write_text(json.dumps(fields, indent=2) + "\n")
    reward_files.processbench(data, 3)
    with pytest.raises(DataError, match=r"other settings .data_digest"):
        run(data, out, reward=str(model))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "--threshold must be between 0 and 1"),
        ({"threshold": float("nan")}, "--threshold must be between 0 and 1"),
        ({"dev_share": 1.0}, "--dev-share must be above 0 and below 1"),
        ({"dev_share": 0.5, "threshold": 0.5}, "not both"),
        ({"reward": None}, "has no scores of its own"),
        ({"reward": "arithmetik"}, "no model folder 'arithmetik'"),
        ({"reward": "oracle"}, "is of a task"),
        ({"kind": "orm"}, "--kind must be one of"),
        ({"device": "tpu"}, "the device must be"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    data = reward_files.processbench(tmp_path / "data.jsonl", 2)
    with pytest.raises(ConfigError, match=message):
        run(data, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_threshold_is_for_processbench(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is for processbench and prmbench; this is prm800k"):
        run(reward_files.stepwise(tmp_path / "data.jsonl", 2), tmp_path / "out", threshold=0.5)


def test_a_folder_without_a_reward_model(tmp_path: Path) -> None:
    data = reward_files.processbench(tmp_path / "data.jsonl", 2)
    (tmp_path / "model").mkdir()
    with pytest.raises(ConfigError):
        run(data, tmp_path / "out", reward=str(tmp_path / "model"))
    run(data, tmp_path / "out")  # and the failure has not bound the folder


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    data, out = reward_files.processbench(tmp_path / "data.jsonl", 2), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("...")
    with pytest.raises(ConfigError, match="not empty and not of an evaluation"):
        run(data, out)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_solutions_without_problem_text_need_scores(tmp_path: Path) -> None:
    rows = [{"problem_id": "p", "is_correct": True, "steps": ["2"], "scores": [0.5]}]
    data = reward_files.write(tmp_path / "data.jsonl", rows)
    with pytest.raises(DataError, match="leave --reward out"):
        run(data, tmp_path / "out")
    run(data, tmp_path / "out", reward=None)
    assert report(tmp_path / "out")["figures"]["n"][0]["prod"]["value"] == 1


def test_a_file_whose_name_is_no_utf8_is_evaluated(tmp_path: Path) -> None:
    data = reward_files.best_of_n(tmp_path / os.fsdecode(b"a-\xe4.jsonl"), 2, scores=True)
    run(data, tmp_path / "out", reward=None)
    assert report(tmp_path / "out")["data"] == str(data)


def test_the_files_own_scores_are_run_by_nothing(tmp_path: Path) -> None:
    data = reward_files.best_of_n(tmp_path / "data.jsonl", 2, scores=True)
    with pytest.raises(
        ConfigError, match=r"own scores are taken: .* leave --dtype, --max-batch out"
    ):
        run(data, tmp_path / "out", reward=None, dtype="bfloat16", max_batch=2)


def test_what_the_reader_left_out_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = reward_files.stepwise(tmp_path / "data.jsonl", 4)
    with data.open("a") as file:
        file.write('{"prompt": "q", "completions": ["a"], "labels": []}\n')
    run(data, tmp_path / "out")
    assert "note: left out: row 9: " in capsys.readouterr().err


def test_an_empty_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    line = fails_with_one_line(
        "eval-prm", "--reward", "arithmetic", "--data", str(tmp_path / "empty.jsonl"), "--out",
        str(tmp_path / "out"),
    )  # fmt: skip
    assert "is empty" in line
