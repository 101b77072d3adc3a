"""Published set-ups: their table, and each driven by tiny stand-ins of the same architectures."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stepnav import build
from stepnav.cli.main import app
from tests.engine import small_models
from tests.labels.label_files import alternative, session, step, write_lines
from tests.rewards import public_models

ROOT = Path(__file__).parents[1]
ROWS = {
    "gsm8k": {"question": "Tom has 3 apples and buys 4 more.", "answer": "3 + 4 = 7.\n#### 7"},
    "math500": {
        "problem": "What is $3 + 4$?", "solution": "It is $\\boxed{7}$.", "answer": "7",
        "level": 1, "subject": "Algebra", "unique_id": "test/algebra/1.json",
    },
    "humaneval": {
        "task_id": "HumanEval/0", "prompt": "def double(x):\n", "entry_point": "double",
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(3) == 6\n",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def published() -> ModuleType:
    spec = importlib.util.spec_from_file_location("published", ROOT / "recipes" / "published.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["published"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def policy(folder: Path, name: str) -> Path:
    """Write a random model of the set-up's architecture, with a tokenizer like its own."""
    import transformers as t

    if name.startswith("qwen"):
        tokenizer, make, config = public_models.qwen_tokenizer(), t.Qwen2ForCausalLM, t.Qwen2Config
    elif name.startswith("llama3"):
        tokenizer = public_models.llama_tokenizer()
        make, config = t.LlamaForCausalLM, t.LlamaConfig
    else:
        tokenizer, make, config = small_models.tokenizer(), t.LlamaForCausalLM, t.LlamaConfig
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    settings = public_models.small(len(tokenizer), max_position_embeddings=4096)
    public_models.spread(make(config(**settings, **ends)), 1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def reward(folder: Path, name: str) -> str:
    """Write a random reward model of the set-up's family, and return how it is named."""
    family = next((f for f in ("qwen-prm", "rlhflow", "skywork") if f in name), "prm")
    if name.startswith("qwen"):
        family = "qwen-prm"
    made: Callable[[Path], Path] = public_models.MAKERS[family][1]
    return f"{family}:{made(folder)}"


def test_the_table(published: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert published.main(["--list"]) == 0
    told = capsys.readouterr().out
    for name, setup in published.SETUPS.items():
        assert f"{name}: {setup.policy}" in told
        assert setup.figures and all(task in build.TASKS for task, _ in setup.tasks)
        assert (setup.train is None) == bool(setup.reward)
    assert told.count("estimate, not measured") == len(published.SETUPS) >= 10
    assert {"llama2-7b", "llama2-13b", "wizardmath-13b", "codellama-7b"} <= set(published.SETUPS)


def test_hours_by_hand(published: ModuleType) -> None:
    setup = published.SETUPS["qwen2.5-math-7b"]  # seven strategies, 500 problems
    tokens = 500 * (512 + 6 * 4096)
    seconds = 14e9 * tokens / (989e12 * 0.05) + 14e9 * tokens / (989e12 * 0.40)
    assert published.search_hours(setup) == pytest.approx(seconds / 3600)
    assert published.search_hours(setup, 50) == pytest.approx(seconds / 36000)


@pytest.mark.parametrize("name", ["llama2-13b", "codellama-7b", "qwen2.5-math-1.5b"])
def test_commands_are_told(
    published: ModuleType, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert published.main([name, "runs/x", "--show", "--problems", "7", "--active", "9"]) == 0
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()[3:]]
    setup = published.SETUPS[name]
    benches = [words for words in lines if words[1:4] == ["-m", "stepnav", "bench"]]
    assert len(benches) == len(setup.tasks)
    assert len(lines) - len(benches) == (setup.train is not None)
    for words in benches:
        assert f"vllm:{setup.policy}" in words and words[-2:] == ["--active", "9"]
        assert words[words.index("--problems") + 1] == "7"
        named = words[words.index("--reward") + 1]
        assert named == (setup.reward or "runs/x/train/prm")


NAMES = (
    "llama2-7b", "llama2-13b", "wizardmath-7b", "wizardmath-13b", "codellama-7b", "codellama-13b",
    "qwen2.5-math-1.5b", "qwen2.5-math-7b", "llama3.2-1b-rlhflow", "llama3.2-3b-skywork",
)  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_driven_by_stand_ins(
    published: ModuleType, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(NAMES) == set(published.SETUPS)
    for task, row in ROWS.items():
        write_lines(tmp_path / f"{task}.jsonl", [row])
    commands: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> Any:
        commands.append(command)
        app(command[3:], standalone_mode=False)  # in this process, which has torch loaded
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(published.subprocess, "run", run)
    words = [
        name, str(tmp_path / "out"), "--policy", str(policy(tmp_path / "policy", name)),
        "--reward", reward(tmp_path / "reward", name), "--data", str(tmp_path), "--problems", "1",
        "--budget", "24",
    ]  # fmt: skip
    assert published.main(words) == 0
    setup = published.SETUPS[name]
    assert len(commands) == len(setup.tasks)
    for task, _ in setup.tasks:
        report = json.loads((tmp_path / "out" / task / "report.json").read_text())
        assert len(report["rows"]) == setup.strategies.count(",") + 1
        assert all(row["total"] == 1 and row["failed"] == 0 for row in report["rows"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_papers_reward_model_is_trained_first(
    published: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = policy(tmp_path / "model", "llama2-7b")
    for task, row in ROWS.items():
        write_lines(tmp_path / f"{task}.jsonl", [row])
    sft = [
        {"problem": f"What is $3 + {n}$?", "solution": f"$\\boxed{{{n + 3}}}$"} for n in range(8)
    ]
    write_lines(tmp_path / "sft.jsonl", [{**ROWS["math500"], **row} for row in sft])
    steps = [step(alternative("3 + 4 = 7.", 1), alternative("3 + 4 = 8.", -1))]
    write_lines(tmp_path / "prm.jsonl", [session(*steps, problem=f"3 + {n}?") for n in range(4)])
    for key, value in {
        "MODEL": str(model), "SFT_DATA": str(tmp_path / "sft.jsonl"),
        "PRM_DATA": str(tmp_path / "prm.jsonl"), "LAUNCH": f"{sys.executable} -m stepnav",
        "TRAIN": "--max-steps 1 --device cpu", "OMP_NUM_THREADS": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    words = [
        "llama2-7b", str(tmp_path / "out"), "--policy", str(model), "--data", str(tmp_path),
        "--problems", "1", "--budget", "24",
    ]  # fmt: skip
    assert published.main(words) == 0
    assert (tmp_path / "out" / "train" / "prm" / "stepnav_prm.json").is_file()
    assert (tmp_path / "out" / "math500" / "report.json").is_file()
