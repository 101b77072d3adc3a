"""The temperature of a step format: stored whole, checked, and used by the reward model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.requests import Score
from stepnav.rewards.families.prm import PRM
from stepnav.rewards.local.reward import LocalReward
from stepnav.rewards.local.step_format import FILE_NAME, StepFormat
from tests.engine.small_models import class_model, poll_all, prefix, tokenizer

STEPS = ("3 + 4 = 7.\n", "He has 7 apples.\n", "#### 7")


def probs(temperature: float) -> torch.Tensor:
    backend = LocalReward.open(
        PRM, class_model(), tokenizer(), format=StepFormat(temperature=temperature)
    )
    backend.submit(0, Score(prefix(1, *STEPS)))
    scores = poll_all(backend, 1)[0].items
    return torch.tensor([[s.negative_prob, s.neutral_prob, s.positive_prob] for s in scores])


def test_outputs_are_divided_before_they_become_probabilities() -> None:
    torch.testing.assert_close(
        probs(2.5), (probs(1.0).log() / 2.5).softmax(-1), atol=1e-6, rtol=1e-5
    )
    assert not torch.allclose(probs(2.5), probs(1.0), atol=1e-3)


def test_a_temperature_is_saved_and_read(tmp_path: Path) -> None:
    StepFormat(temperature=1.75).save(tmp_path)
    assert StepFormat.load(tmp_path).temperature == 1.75
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_format_from_before_temperatures_has_1(tmp_path: Path) -> None:
    StepFormat().save(tmp_path)
    fields = json.loads((tmp_path / FILE_NAME).read_text())
    del fields["temperature"]
    (tmp_path / FILE_NAME).write_text(json.dumps(fields))
    assert StepFormat.load(tmp_path).temperature == 1.0


@pytest.mark.parametrize("bad", [0, -1.0, "warm", None, float("nan"), True])
def test_a_bad_temperature_is_refused(tmp_path: Path, bad: object) -> None:
    StepFormat().save(tmp_path)
    fields = json.loads((tmp_path / FILE_NAME).read_text())
    (tmp_path / FILE_NAME).write_text(json.dumps({**fields, "temperature": bad}))
    with pytest.raises(ConfigError, match="not a valid step format"):
        StepFormat.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_template": "no question"},
        {"prompt_template": 5},
        {"separator": 5},
        {"separator": ""},
        {"labels": [1, 1, 1]},
        {"labels": [5, 0, 1]},
        {"labels": [0, 1]},
        {"temperature": float("inf")},
        {"add_bos": "false"},
        {"add_bos": None},
    ],
)
def test_a_format_that_would_score_wrongly_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    StepFormat().save(tmp_path)
    fields = json.loads((tmp_path / FILE_NAME).read_text())
    (tmp_path / FILE_NAME).write_text(json.dumps({**fields, **change}))
    with pytest.raises(ConfigError, match="not a valid step format"):
        StepFormat.load(tmp_path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigError, match="not a valid step format"):
        StepFormat.load(tmp_path)


def test_a_format_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StepFormat().save(tmp_path)
    before = (tmp_path / FILE_NAME).read_text()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space"):
        StepFormat(temperature=2.0).save(tmp_path)
    assert (tmp_path / FILE_NAME).read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
