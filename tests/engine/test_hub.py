"""Checkpoints by hub name: what is fetched, and what is said where nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from stepnav import build
from stepnav.build import folders, rewards
from stepnav.core.errors import ConfigError
from stepnav.core.requests import Score
from stepnav.engine.checkpoint import hub
from stepnav.engine.checkpoint.loading import load_tokenizer, load_trainable_classifier
from stepnav.policies.local import LocalPolicy, PolicyFormat
from stepnav.rewards.families.label_tokens import MATH_SHEPHERD, LabelTokens
from stepnav.rewards.families.prm import PRM, TOKEN_CLASSES
from stepnav.rewards.local.reward import LocalReward
from tests.engine.small_models import causal_model, poll_all, tokenizer
from tests.rewards import public_models


def test_a_hub_name_is_fetched_without_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = public_models.math_shepherd(tmp_path / "5f3a")
    asked = []

    def download(name: str, *, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    task = build.load_task("arithmetic")
    local = {"device": "cpu", "dtype": "float32", "max_batch": 4}
    assert rewards.open_task_reward("peiyi9979/math-shepherd-mistral-7b-prm", task, local)
    assert rewards.open_task_reward("math-shepherd:some/model", task, local)
    assert [name for name, _ in asked] == ["peiyi9979/math-shepherd-mistral-7b-prm", "some/model"]
    assert not any(pattern.endswith("py") for _, patterns in asked for pattern in patterns)


def test_old_weights_are_fetched_where_there_are_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(name: str, *, allow_patterns: list[str]) -> str:
        if has_old and "*.bin" in allow_patterns:
            (tmp_path / "pytorch_model.bin").touch()
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    has_old = False
    with pytest.raises(ConfigError, match="has no weights"):
        hub.fetch_model("a/b")
    has_old = True
    assert hub.fetch_model("a/b") == tmp_path


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, **_: Any) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    says = r"no model folder 'models/prm', .*no route to host.*check the name and the connection"
    with pytest.raises(ConfigError, match=says):
        folders.model_folder("prm", "models/prm")
    with pytest.raises(ConfigError, match=says):
        load_tokenizer("models/prm")
    with pytest.raises(ConfigError, match=says):
        load_trainable_classifier("models/prm", num_labels=2)


def test_a_hub_name_in_python_reads_the_formats_beside_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = public_models.math_shepherd(tmp_path / "labels")
    LabelTokens(good="7", bad="9", temperature=3.0).save(labels)
    folders = {
        "me/labels": labels,
        "me/prm": public_models.value_prm(tmp_path / "prm"),
        "me/trl": public_models.token_classes(tmp_path / "trl"),
    }
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(folders[name]))
    opened = {"me/labels": MATH_SHEPHERD, "me/prm": PRM, "me/trl": TOKEN_CLASSES}
    for name, family in opened.items():
        found = []
        for source in (name, folders[name]):
            backend = LocalReward.open(family, source, device="cpu")
            backend.submit(0, Score(public_models.trajectories()[2]))
            found.append(poll_all(backend, 1)[0].items)
        assert found[0] == found[1]
    policy = tmp_path / "policy"
    causal_model().save_pretrained(policy)
    tokenizer().save_pretrained(policy)
    PolicyFormat("Q: {question} A: ").save(policy)
    folders["me/policy"] = policy
    assert LocalPolicy("me/policy", device="cpu").format.prompt_template == "Q: {question} A: "


def test_names_that_are_no_hub_names() -> None:
    assert hub.is_hub_name("Qwen/Qwen2.5-Math-PRM-7B")
    for name in ("arithmetic", "./a/b", "/a/b", "a/b/c", "../b", "a/b c", ""):
        assert not hub.is_hub_name(name)
