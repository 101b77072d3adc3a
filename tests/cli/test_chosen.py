from __future__ import annotations

import pytest

from stepnav import build
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.models import ModelOptions


@pytest.mark.parametrize(
    ("names", "reward", "told"),
    [
        (["cot", "self_consistency"], "oracle", "(cot, self_consistency)"),
        (["cot", "hgs"], "oracle", None),
        (["cot"], None, None),
    ],
)
def test_a_reward_model_that_nobody_asks_is_told(
    names: list[str], reward: str | None, told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    strategies = [build.strategy(name) for name in names]
    Chosen.of(ModelOptions(), build.load_task("arithmetic"), strategies, reward)
    said = f"note: --reward oracle is not used: none of the strategies asks it {told}\n"
    assert capsys.readouterr().err == ("" if told is None else said)
