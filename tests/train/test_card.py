"""The card of a trained model."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepnav.train.card import model_card


def test_a_base_on_the_hub_is_named() -> None:
    card = model_card(
        base="org/base-1.5B", is_policy=False, figures={"examples": 3}, last_loss=0.25
    )
    assert card.startswith('---\nlibrary_name: "transformers"\nbase_model: "org/base-1.5B"\n')
    assert '"reward-model"' in card
    assert "| examples | 3 |\n| loss at the last step | 0.25 |" in card


def test_a_folder_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for base in ("models/base", str(tmp_path / "models" / "base"), ""):
        card = model_card(base=base, is_policy=True, figures={}, last_loss=None)
        assert "base_model" not in card
        assert str(tmp_path) not in card
    assert 'pipeline_tag: "text-generation"' in card


def test_the_hub_reads_it() -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = model_card(base="org/base", is_policy=True, figures={}, last_loss=1.0)
    assert hub.ModelCard(card).data.base_model == "org/base"
