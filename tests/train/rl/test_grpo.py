"""GRPO on TRL itself, on the shipped arithmetic policy."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("trl", reason="GRPO needs trl")

from safetensors.torch import load_file

import stepnav
from stepnav import build
from stepnav.core.errors import ConfigError
from stepnav.train.reward_function import RewardFunction, as_reward_function
from stepnav.train.rl import grpo_trainer
from stepnav.train.rl.advantages import EPSILON, step_advantages, token_advantages
from stepnav.train.rl.grpo import GrpoSettings, train_grpo

pytestmark = [pytest.mark.trl, pytest.mark.slow, pytest.mark.timeout(900)]

TASK = build.load_task("arithmetic")
POLICY = build.policy_folder("arithmetic")
PROBLEMS = TASK.load("train", 8, 0, None)
SETTINGS = GrpoSettings(
    steps=2, problems_per_step=2, samples=4, batch_size=4, learning_rate=1e-4, max_new_tokens=96,
    save_every=1, cpu=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def reward() -> Iterator[RewardFunction]:
    with closing(stepnav.open_reward("arithmetic")) as backend:
        yield as_reward_function(backend)


def train(out: Path, reward: RewardFunction | None, settings: GrpoSettings, **more: Any) -> Any:
    assert POLICY is not None
    return train_grpo(
        str(POLICY), PROBLEMS, TASK, out, reward=reward, reward_name="r",
        format_=build.policy_format(POLICY, TASK), settings=settings, **more,
    )  # fmt: skip


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("credit", ["solution", "step"])
def test_advantages_are_those_of_the_formulas(
    credit: Any, reward: RewardFunction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[dict[str, Any], list[Any]]] = []
    whole = grpo_trainer.StepGRPOTrainer._generate_and_score_completions

    def spied(self: Any, inputs: Any) -> Any:
        seen.append((dict(whole(self, inputs)), list(self._judged)))
        return seen[-1][0]

    monkeypatch.setattr(grpo_trainer.StepGRPOTrainer, "_generate_and_score_completions", spied)
    train(tmp_path / "m", reward, replace(SETTINGS, steps=1, credit=credit, reward_weight=0.5))
    ((found, judged),) = seen
    length = found["completion_ids"].shape[1]
    expected = []
    for group in (judged[:4], judged[4:]):
        wholes = [one.outcome for one in group]
        if credit == "solution":
            wholes = [one.outcome + 0.5 * one.process for one in group]
        steps = step_advantages([one.values for one in group])
        for (advantage,), own, one in zip(step_advantages([[w] for w in wholes]), steps, group):
            tokens = token_advantages(own, one.ends, length)
            expected.append([advantage + 0.5 * token for token in tokens])
            if credit == "solution":
                expected[-1] = [advantage] * length
    got = found["advantages"]
    got = got.unsqueeze(1).expand(-1, length) if got.dim() == 1 else got
    assert got.shape == (8, length)
    torch.testing.assert_close(got, torch.tensor(expected), atol=2e-3, rtol=2e-3)
    assert EPSILON == 1e-4  # TRL's own


def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(
    reward: RewardFunction, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, steps=3, reward_weight=1.0)
    report = train(tmp_path / "whole", reward, settings)

    def stop(done: int, total: int, value: float | None) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", reward, settings, progress=stop)
    with (tmp_path / "killed" / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lo')  # as much as was written of a line
    again = train(tmp_path / "killed", reward, settings, resume=True)
    assert again.tokens == report.tokens
    for name in ("right", "process", "steps_per_solution", "tokens_per_solution"):
        ours, theirs = ([row[name] for row in log_of(tmp_path / n)] for n in ("killed", "whole"))
        assert ours == pytest.approx(theirs)
    ours, theirs = (load_file(tmp_path / n / "model.safetensors") for n in ("killed", "whole"))
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight)
    # what is over is only loaded and saved once more
    (tmp_path / "killed" / "model.safetensors").unlink()
    train(tmp_path / "killed", reward, settings, resume=True)
    assert len(log_of(tmp_path / "killed")) == 3
    for name, weight in load_file(tmp_path / "killed" / "model.safetensors").items():
        torch.testing.assert_close(weight, theirs[name])
    with pytest.raises(ConfigError, match="credit"):
        train(tmp_path / "killed", reward, replace(settings, credit="solution"), resume=True)


def test_a_limit_of_tokens_ends_the_training(tmp_path: Path) -> None:
    report = train(tmp_path / "m", None, replace(SETTINGS, steps=50, max_tokens=400))
    assert report.fit.steps < 4
    assert report.tokens >= 400
    assert report.tokens == pytest.approx(
        8 * sum(row["tokens_per_solution"] for row in log_of(tmp_path / "m"))
    )
    shutil.rmtree(tmp_path / "m" / "checkpoints")
    found = stepnav.bench("arithmetic", ["cot"], policy=tmp_path / "m", count=2)
    assert len(found.rows) == 2


def test_two_processes_share_the_problems_of_a_step(tmp_path: Path) -> None:
    words = ["train", "grpo", "--model", "arithmetic", "--device", "cpu", "--problems", "8"]
    words += ["--steps", "3", "--problems-per-step", "2", "--samples", "4"]
    words += ["--out", str(tmp_path / "m")]
    two = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "stepnav"]
    for size, code in ((8, 1), (4, 0)):  # 8 solutions are not a batch of 8 for each of two
        done = subprocess.run(
            [sys.executable, "-m", *two, *words, "--batch-size", str(size)],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert ("(got batches of 8, processes: 2)" in done.stderr) == bool(code)
    for row in log_of(tmp_path / "m"):  # means over 8 solutions
        assert (row["tokens_per_solution"] * 8).is_integer()
        assert (row["steps_per_solution"] * 8).is_integer()


def test_what_cannot_be_graded_is_learnt_from_by_its_steps(
    reward: RewardFunction, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert POLICY is not None
    ungraded = replace(TASK, grade=lambda problem, answer: None)
    train_grpo(
        str(POLICY), PROBLEMS, ungraded, tmp_path / "m", reward=reward, reward_name="r",
        format_=build.policy_format(POLICY, TASK),
        settings=replace(SETTINGS, steps=1, reward_weight=1.0),
    )  # fmt: skip
    (row,) = log_of(tmp_path / "m")
    assert row["grad_norm"] > 0
    assert "reward functions" not in caplog.text


def test_a_reward_model_is_a_reward_function_of_trl(reward: RewardFunction, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    rows = [{"prompt": p.question + "\n", "question": p.question} for p in PROBLEMS]
    trainer = GRPOTrainer(
        model=str(POLICY),
        reward_funcs=reward,
        args=GRPOConfig(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=4,
            bf16=False,
            num_generations=4,
            max_completion_length=64,
            use_cpu=True,
            report_to="none",
            logging_steps=1,
            save_strategy="no",
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_list(rows),
    )
    trainer.train()
    (row,) = [row for row in trainer.state.log_history if "reward" in row]
    assert 0 < row["rewards/step_reward/mean"] < 1
    assert row["rewards/step_reward/std"] > 0


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none was named"):
        train(tmp_path, None, replace(SETTINGS, reward_weight=1.0))
    with pytest.raises(ConfigError, match="a step takes 9 problems and there are 8"):
        train(tmp_path, None, replace(SETTINGS, problems_per_step=9))
    with pytest.raises(
        ConfigError, match=r"8 solutions of a step .* \(got batches of 3, processes: 1\)"
    ):
        replace(SETTINGS, batch_size=3)
    with pytest.raises(ConfigError, match="both 0"):
        replace(SETTINGS, outcome_weight=0.0)
