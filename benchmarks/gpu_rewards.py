"""The parts of benchmarks/gpu.py that score and train a reward model."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from engine import ZOO, solved_problems
from stepnav.core.requests import Score
from stepnav.engine.checkpoint.loading import load_pretrained_tokenizer, load_trainable_classifier
from stepnav.rewards.families.prm import PRM
from stepnav.rewards.local.reward import LocalReward
from stepnav.rewards.local.step_format import StepFormat

BATCH = 16
"""Solutions of an optimizer step."""


def score(size: Any, options: Any) -> dict[str, Any]:
    """Measure a process reward model's tokens a second, and how far its scores are from a CPU's."""
    items = solved_problems(size.trajectories)
    few = items[: min(16, len(items))]
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = reward_folder(options.model, Path(place))
        expected, _, _ = scored(folder, few, device="cpu", dtype="float32")
        for dtype in ("float32", "bfloat16"):
            found, _, _ = scored(folder, few, device=size.device, dtype=dtype)
            _, tokens, seconds = scored(folder, items, device=size.device, dtype=dtype)
            result[dtype] = {
                "largest difference from a CPU's": max(
                    map(abs, map(float.__sub__, found, expected))
                ),
                "tokens_per_s": tokens / seconds,
                "solutions_per_s": len(items) / seconds,
            }
    return result


def reward_folder(model: str, place: Path) -> Path:
    """Return the shipped reward model's folder, or one of a model with a random head."""
    if model == "arithmetic":
        return ZOO / "arithmetic-prm"
    torch.manual_seed(0)
    classifier = load_trainable_classifier(model, num_labels=3)
    classifier.config.id2label = {0: "-1", 1: "0", 2: "1"}
    classifier.config.label2id = {"-1": 0, "0": 1, "1": 2}
    classifier.save_pretrained(place)
    load_pretrained_tokenizer(model).save_pretrained(place)
    StepFormat(labels=(-1, 0, 1)).save(place)
    return place


def scored(
    folder: Path, items: Sequence[Any], *, device: str, dtype: str
) -> tuple[list[float], int, float]:
    """Return the steps' scores, the tokens read and the seconds, of the second of two runs."""
    reward = LocalReward.open(PRM, folder, device=device, dtype=dtype, max_batch=256)
    for _ in range(2):
        reward.runner.tree.clear()
        before, began = reward.runner.num_read_tokens, time.perf_counter()
        for ticket, item in enumerate(items):
            reward.submit(ticket, Score(item))
        answers: dict[int, Any] = {}
        while len(answers) < len(items):
            answers.update(reward.poll(1.0))
        seconds = time.perf_counter() - began
    scores = [step.positive_prob for ticket in sorted(answers) for step in answers[ticket].items]
    return scores, reward.runner.num_read_tokens - before, seconds


def train(size: Any, options: Any) -> dict[str, Any]:
    """Train a process reward model for some steps by the package's command, as a user does."""
    model = ZOO / "arithmetic-policy" if options.model == "arithmetic" else options.model
    result: dict[str, Any] = {}
    for dtype in ("float32", "bfloat16"):
        with tempfile.TemporaryDirectory() as place:
            data = Path(place) / "steps.jsonl"
            write_labels(data, BATCH * size.steps)
            command = [
                sys.executable, "-m", "stepnav", "train", "prm", "--model", str(model),
                "--data", str(data), "--out", str(Path(place) / "out"),
                "--max-steps", str(size.steps), "--batch-size", str(BATCH),
                "--save-every", "0", "--dtype", dtype,
                "--device", size.device, "--json",
            ]  # fmt: skip
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found = json.loads(told)
            seconds, losses = found["fit"]["seconds"], [loss for _, loss in found["fit"]["losses"]]
            tail = losses[-max(1, len(losses) // 10) :]
            share = BATCH * size.steps / found["groups"]
            result[dtype] = {
                "steps_per_s": size.steps / seconds,
                "tokens_per_s": share * found["tokens"] / seconds,
                "first loss": losses[0],
                "last tenth's loss": sum(tail) / len(tail),
            }
    return result


def write_labels(path: Path, count: int) -> None:
    """Write reference solutions, every other one with a wrong last step."""
    with path.open("w", encoding="utf-8") as file:
        for at, item in enumerate(solved_problems(count)):
            steps = [step.text for step in item.steps]
            labels = [1] * len(steps)
            if at % 2:
                steps[-1], labels[-1] = steps[-1].replace("1", "7").replace("2", "8"), -1
            row = {"prompt": item.problem.question, "completions": steps, "labels": labels}
            file.write(json.dumps(row) + "\n")
