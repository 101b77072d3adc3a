"""The reward model is made again without touching the policy."""

from pathlib import Path

import pytest

from stepnav.zoo import MODELS_FOLDER
from stepnav.zoo.recipe import make_models


@pytest.mark.slow
def test_the_shipped_policy_stays_as_it_is_to_the_bit(tmp_path: Path) -> None:
    stages: set[str] = set()
    make_models(
        tmp_path / "out",
        scale="tiny",
        reward_only=True,
        progress=lambda stage, done, total, value: stages.add(stage),
    )
    name = "arithmetic-policy/model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (MODELS_FOLDER / name).read_bytes()
    assert "language model" not in stages
    made = tmp_path / "out" / "arithmetic-prm" / "model.safetensors"
    assert made.read_bytes() != (MODELS_FOLDER / "arithmetic-prm/model.safetensors").read_bytes()
