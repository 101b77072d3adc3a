"""The recipes, run whole with a tiny model on a few rows of the real files."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

from tests.train.tiny import save_tiny_lm

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_lm(tmp_path_factory.mktemp("base"), layers=1))


def run(name: str, *words: str, **variables: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **variables}
    found = subprocess.run(
        ["bash", str(ROOT / "recipes" / name), *words],
        capture_output=True, text=True, env=environment, timeout=280, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2000:]


def head(source: Path, target: Path, lines: int) -> str:
    with gzip.open(source, "rt", encoding="utf-8") as file:
        target.write_text("".join(line for line, _ in zip(file, range(lines))), encoding="utf-8")
    return str(target)


def test_the_papers_recipe_for_mathematics(base: str, tmp_path: Path) -> None:
    run(
        "math_prm.sh", str(tmp_path / "out"), "--max-steps", "2", "--device", "cpu",
        MODEL=base, LAUNCH="python -m stepnav",
        SFT_DATA=head(DATA / "math/train12k.jsonl.gz", tmp_path / "math.jsonl", 20),
        PRM_DATA=head(DATA / "prm800k/phase1_train.jsonl.gz", tmp_path / "prm.jsonl", 4),
    )  # fmt: skip
    AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "sft")
    assert AutoModelForTokenClassification.from_pretrained(tmp_path / "out" / "prm").num_labels == 3


def test_the_papers_recipe_for_code(base: str, tmp_path: Path) -> None:
    run(
        "code_prm.sh",
        str(tmp_path / "out"),
        "--max-steps",
        "2",
        "--device",
        "cpu",
        MODEL=base,
        LAUNCH="python -m stepnav",
        MBPP=str(DATA / "mbpp/mbpp.jsonl.gz"),
        IDS="610-616",
    )
    assert AutoModelForTokenClassification.from_pretrained(tmp_path / "out" / "prm").num_labels == 3


def test_the_small_real_run(base: str, tmp_path: Path) -> None:
    run(
        "smollm2_prm.sh", str(tmp_path / "out"),
        BASE=base, DATA=str(DATA), PAIRS="8", PROBLEMS="3", ORM_PROBLEMS="12", EVAL="6",
        EXTRA="--max-steps 1 --device cpu",
    )  # fmt: skip
    for name in ("prm-sft", "prm-raw", "orm", "untrained"):
        for kind in ("processbench", "phase1"):
            assert (tmp_path / "out" / "eval" / f"{name}-{kind}" / "report.json").exists()
