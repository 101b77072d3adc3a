"""The recipes, run whole with a tiny model on a few rows of the real files."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, LlamaConfig

from tests.engine.small_models import tokenizer
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


QUESTIONS = (
    "Tom has {n} apples and buys {m} more. How many apples has he?",
    "Ann sold {n} eggs and then {m} more. How many eggs?",
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save a small model without knowledge, with a tokenizer that can write numbers."""
    folder = tmp_path_factory.mktemp("reader")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer()), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, bos_token_id=0, eos_token_id=1,
        max_position_embeddings=1024, tie_word_embeddings=True,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def easy_data(folder: Path, *others: str) -> Path:
    """Return a folder of data: an easy GSM8K, and others as they are."""
    folder.mkdir()
    easy_gsm8k(folder / "gsm8k")
    for name in others:
        (folder / name).symlink_to(DATA / name)
    return folder


def easy_gsm8k(folder: Path) -> None:
    """Write GSM8K's files with problems of two answers, which a small model may guess."""
    folder.mkdir()
    for name, first, count in (("train", 0, 240), ("test", 240, 8)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            for at in range(first, first + count):
                n, m = (3, 4) if at % 3 else (2, 3)
                question = QUESTIONS[at % 2].format(n=n, m=m) + f" It is day {at}."
                answer = f"{n} + {m} = <<{n}+{m}={n + m}>>{n + m}.\nSo {n + m}.\n#### {n + m}"
                file.write(json.dumps({"question": question, "answer": answer}) + "\n")


@pytest.mark.timeout(4800)
def test_the_quarter_of_an_hour_on_gsm8k(reader: str, tmp_path: Path) -> None:
    data, out = easy_data(tmp_path / "data", "prm800k", "processbench"), tmp_path / "out"
    variables = {
        "BASE": reader, "DATA": str(data), "DEVICE": "cpu", "DTYPE": "float32", "SFT_EPOCHS": "8",
        "SFT_RATE": "3e-3", "BUDGETS": "40,80", "MAX_LENGTH": "300",
    }  # fmt: skip
    run("gsm8k_gpu.sh", str(out), "--minutes", "0.4", ONLY="^(data|sft|rollouts)$", **variables)
    lines = (out / "rollouts/rollouts.jsonl").read_text().splitlines()
    labels = [json.loads(line) for line in lines]
    assert any(any(row["labels"]) for row in labels)
    run("gsm8k_gpu.sh", str(out), "--minutes", "0.4", **variables)
    report = (out / "report.md").read_text()
    assert "not run" not in report
    assert all(name in report for name in ("hgs", "nav", "beam", "self_consistency", "Seconds"))
    before = (out / "seconds.tsv").read_text()
    assert "<<" not in (out / "data/train.jsonl").read_text()
    run("gsm8k_gpu.sh", str(out), "--minutes", "0.4", **variables)
    assert (out / "seconds.tsv").read_text() == before


@pytest.mark.timeout(4800)
def test_gsm8k_on_two_cores(reader: str, tmp_path: Path) -> None:
    data, out = easy_data(tmp_path / "data", "processbench", "svamp"), tmp_path / "out"
    variables = {
        "SVAMP": "2", "SVAMP_BUDGETS": "40",
        "BASE": reader, "DATA": str(data), "DTYPE": "float32", "SFT": "160", "SFT_RATE": "3e-3",
        "HELD_OUT": "10", "DEV": "10", "DRAWN": "10", "PROBLEMS": "4", "BUDGETS": "60",
    }  # fmt: skip
    run("gsm8k_cpu.sh", str(out), **variables)
    report = (out / "report.md").read_text()
    assert all(name in report for name in ("hgs", "nav", "weighted_vote", "F1", "Seconds"))
    labels = [json.loads(line)["labels"] for line in (out / "steps.jsonl").read_text().splitlines()]
    assert all(label is not False for label in labels[0])  # the reference comes first
    before = (out / "seconds.tsv").read_text()
    run("gsm8k_cpu.sh", str(out), **variables)
    assert (out / "seconds.tsv").read_text() == before


def run(name: str, *words: str, **variables: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **variables}
    found = subprocess.run(
        ["bash", str(ROOT / "recipes" / name), *words],
        capture_output=True, text=True, env=environment, timeout=2400, check=False,
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


def test_humaneval_with_public_tests_as_the_reward(tmp_path: Path) -> None:
    data = str(DATA / "humaneval/HumanEval.jsonl.gz")
    run("humaneval.sh", str(tmp_path), "micro-python", data, PROBLEMS="2", BUDGET="60")
    report = json.loads((tmp_path / "humaneval" / "report.json").read_text())
    assert (report["task"], report["problems"], report["incomplete"]) == ("humaneval", 2, [])
    assert len(report["rows"]) == 4
