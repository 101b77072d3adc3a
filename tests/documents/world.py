"""A folder with every file that the documents' commands name, small enough to run them all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from stepnav.policies.local.prompt import FILE_NAME
from stepnav.zoo import MODELS_FOLDER
from tests.documents.commands import ROOT
from tests.labels.label_files import alternative, session, step, write_lines
from tests.measure.prm import reward_files
from tests.rewards import public_models

CONTEXT = 8192
"""Tokens; worked examples are longer than what the shipped models read."""

DOUBLE = "def double(x):\n    y = x + x\n    return y\n"
TESTS = "from gcd import double\nassert double(2) == 4\nassert double(50) == 100\n"
MBPP: dict[str, Any] = {
    "text": "Double it.", "code": DOUBLE, "test_setup_code": "", "challenge_test_list": [],
    "test_list": ["assert double(2) == 4", "assert double(30) == 60"],
}  # fmt: skip
HUMANEVAL: dict[str, Any] = {
    "task_id": "HumanEval/0", "prompt": "def double(x):\n", "entry_point": "double",
    "canonical_solution": "    return x + x\n",
}  # fmt: skip
CHECK = {"test": "def check(candidate):\n    assert candidate(2) == 4\n"}
PLUS = {"contract": "", "base_input": [[2]], "plus_input": [[3], [4]], "atol": 0}
PARTS = """

def policy(question, steps):
    return "#### 4"


def reward(question, steps):
    return [0.9] * len(steps)


search = careful
"""
FIGURES = [{"q": "What is 2 + 2?", "a": "4"}, {"q": "What is 3 + 4?", "a": "7"}]


def _copy_model(name: str, *copies: Path) -> None:
    for copy in copies:
        shutil.copytree(MODELS_FOLDER / name, copy)
        place = copy / "config.json"
        config = json.loads(place.read_text())
        place.write_text(json.dumps({**config, "max_position_embeddings": CONTEXT}))
        (copy / FILE_NAME).unlink(missing_ok=True)  # as of models from elsewhere


def _python_of(name: str) -> str:
    text = (ROOT / "docs" / name).read_text()
    return text.split("```python\n", 1)[1].split("```", 1)[0]


def _write_labels(folder: Path) -> None:
    problems = reward_files.solutions(8)
    rows = [
        session(*(step(alternative(text, 1)) for text in steps), problem=problem.question)
        for problem, steps, _ in problems
    ]
    for split in ("train", "test"):
        write_lines(folder / f"phase1_{split}.jsonl.gz", rows)
    solved = [{"question": p.question, "answer": "\n".join(steps)} for p, steps, _ in problems[::2]]
    write_lines(folder / "train.jsonl", solved)
    write_lines(folder / "test.jsonl", solved)
    reward_files.processbench(folder / "processbench.jsonl")
    reward_files.prmbench(folder / "prmbench.jsonl")
    (folder / "processbench").mkdir()
    rows = [json.loads(line) for line in (folder / "processbench.jsonl").read_text().splitlines()]
    write_lines(folder / "processbench" / "gsm8k.jsonl.gz", rows)
    reward_files.stepwise(folder / "dev.jsonl", 20)
    reward_files.best_of_n(folder / "solutions.jsonl", 4)


def _write_programs(folder: Path) -> None:
    (folder / "gcd.py").write_text(DOUBLE)
    (folder / "test_gcd.py").write_text(TESTS)
    for name in ("mbpp.jsonl", "mbpp.jsonl.gz"):
        write_lines(folder / name, [{**MBPP, "task_id": number} for number in (12, 601)])
    write_lines(folder / "HumanEval.jsonl.gz", [HUMANEVAL | CHECK])
    write_lines(folder / "HumanEvalPlus.jsonl.gz", [HUMANEVAL | PLUS])
    samples = [
        {"task_id": "HumanEval/0", "completion": body} for body in ("    return 2 * x\n",) * 10
    ]
    write_lines(folder / "samples.jsonl", samples)
    write_lines(folder / "sums.jsonl", [{"question": "Add.", "stdin": "1 2", "stdout": "3"}] * 2)
    write_lines(folder / "mbpp_samples.jsonl", [{"task_id": 12, "completion": DOUBLE}])


def make_world(folder: Path) -> Path:
    """Fill a folder, and return it."""
    _copy_model(
        "arithmetic-policy",
        *(folder / name for name in ("my-model", "base-model", "base", "some-lm")),
    )
    _copy_model("arithmetic-prm", folder / "my-prm")
    public_models.math_shepherd(folder / "their-prm")
    (folder / "mine.py").write_text(
        _python_of("own-strategy.md") + _python_of("own-data.md") + PARTS
    )
    write_lines(folder / "mine.jsonl", FIGURES)
    _write_labels(folder)
    _write_programs(folder)
    return folder
