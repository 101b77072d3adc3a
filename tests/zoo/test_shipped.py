"""The reward model is made again without touching the policy."""

from pathlib import Path

import pytest

from stepnav import build
from stepnav.policies.local.prompt import FILE_NAME, PolicyFormat
from stepnav.zoo import MODELS_FOLDER
from stepnav.zoo.domains import DOMAINS, load_domain
from stepnav.zoo.recipe import make_models


@pytest.mark.parametrize("name", DOMAINS)
def test_the_shipped_policies_say_how_they_are_prompted(name: str) -> None:
    folder = MODELS_FOLDER / f"{name}-policy"
    assert (folder / FILE_NAME).exists()
    task, other = build.load_task(name), build.load_task("gsm8k")
    own = PolicyFormat(
        task.prompt_template, answer_pattern=task.answer_pattern, end_strings=task.end_strings
    )
    assert load_domain(name).policy_format == own
    assert build.policy_format(folder, task) == build.policy_format(folder, other) == own


def test_the_readme_tells_how_large_the_shipped_models_are() -> None:
    from safetensors.torch import load_file

    def sizes(kind: str) -> str:
        found = [
            sum(tensor.numel() for tensor in load_file(path).values()) / 1e6
            for path in MODELS_FOLDER.glob(f"*-{kind}/model.safetensors")
        ]
        return f"{min(found):.1f}M to {max(found):.1f}M"

    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert f"Policies of {sizes('policy')} and PRMs of {sizes('prm')} parameters" in readme


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
