"""Two real processes, started by torchrun, against one."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.tiny import save_tiny_lm

SCRIPT = str(Path(__file__).parent / "distributed_run.py")
TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_lm(tmp_path_factory.mktemp("base")))


def run(*words: object, fails: bool = False) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (found.returncode != 0) == fails, found.stderr[-3000:]


def losses(folder: Path) -> list[float]:
    return json.loads((folder / "losses.json").read_text())


@pytest.mark.parametrize("shard", ["no", "shard"])
def test_two_processes_learn_as_one_does(base: str, tmp_path: Path, shard: str) -> None:
    run(SCRIPT, base, tmp_path / "one", 4, "no")
    run(*TWO, SCRIPT, base, tmp_path / "two", 2, shard)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    for name, one in weights[0].items():
        torch.testing.assert_close(one, weights[1][name], atol=1e-4, rtol=0)


def test_a_killed_sharded_training_goes_on(base: str, tmp_path: Path) -> None:
    run(*TWO, SCRIPT, base, tmp_path / "whole", 2, "shard")
    run(*TWO, SCRIPT, base, tmp_path / "killed", 2, "shard", 3, fails=True)
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    run(*TWO, SCRIPT, base, tmp_path / "killed", 2, "shard")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed")]
    assert all(torch.equal(one, weights[1][name]) for name, one in weights[0].items())


def test_every_parameter_is_split(base: str, tmp_path: Path) -> None:
    run(*TWO, SCRIPT, base, tmp_path / "shapes.json", 2, "shapes")
    shapes = json.loads((tmp_path / "shapes.json").read_text())
    assert len(shapes) > 10
    for whole, local in shapes.values():
        assert local == [math.ceil(whole[0] / 2), *whole[1:]]
