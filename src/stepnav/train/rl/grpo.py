"""GRPO (Shao et al. 2024) with the task's grader and a process reward model, on TRL's trainer.

Two kinds of reward: the grade of a whole solution, and the reward model's values of its steps,
which count either as one number of the solution (`credit` "solution") or each from its own step on
("step", section 4.1.3). The loss is the paper's (`loss_type` "grpo"), without clipping's effect as
long as each solution is learnt from once. Resumable: checkpoints are the Trainer's.
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from transformers.trainer_callback import TrainerState

from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem
from stepnav.engine.checkpoint.loading import without_progress_bar
from stepnav.policies.local.prompt import PolicyFormat, PromptEncoder, StepCutter
from stepnav.tasks.task import Task
from stepnav.train.checkpoints import STATE, last_checkpoint, step_of
from stepnav.train.fit import (
    CHECKPOINTS,
    LOG,
    check_trackers,
    fit_result,
    shared_arguments,
    training_folder,
    without_printers,
)
from stepnav.train.reward_function import RewardFunction
from stepnav.train.rl.judge import Judge
from stepnav.train.rl.reward_log import RewardLog
from stepnav.train.saving import TrainReport, save_trained
from stepnav.train.solutions import CutCount
from stepnav.train.starting_model import load_network, load_training_tokenizer
from stepnav.train.watcher import FitProgress, explaining

Credit = Literal["solution", "step"]
CREDITS: tuple[Credit, ...] = ("solution", "step")


@dataclass(frozen=True, kw_only=True, slots=True)
class GrpoSettings:
    """How to train.

    Attributes:
      steps: optimizer steps.
      max_tokens: stop after the step with which so many tokens of solutions were generated; None
        for no such limit.
      problems_per_step: problems of each step, of all processes together.
      samples: solutions of each problem: the group.
      batch_size: solutions that a process learns from in one pass.
      learning_rate: constant.
      temperature: of the samples.
      max_new_tokens: most tokens of a solution.
      kl: weight of the divergence from the starting model; 0 keeps no copy of it.
      outcome_weight, reward_weight: of the grade and of the reward model.
      credit: what the reward model's values count for.
      seed: of order and samples.
      bf16: whether to compute in bfloat16, with float32 weights.
      gradient_checkpointing: whether to compute activations twice and keep few of them.
      save_every: optimizer steps between checkpoints; 0 keeps none.
      report_to: trackers, as `transformers` names them.
      cpu: whether to stay on the CPU although there is a GPU.
    """

    steps: int = 100
    max_tokens: int | None = None
    problems_per_step: int = 8
    samples: int = 8
    batch_size: int = 16
    learning_rate: float = 1e-6
    temperature: float = 1.0
    max_new_tokens: int = 256
    kl: float = 0.0
    outcome_weight: float = 1.0
    reward_weight: float = 0.0
    credit: Credit = "step"
    seed: int = 0
    bf16: bool = False
    gradient_checkpointing: bool = False
    save_every: int = 50
    report_to: tuple[str, ...] = ()
    cpu: bool = False

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise ConfigError(f"a group has at least 2 samples (got {self.samples})")
        if self.problems_per_step * self.samples % (self.batch_size * _processes()):
            raise ConfigError(
                f"the {self.problems_per_step * self.samples} solutions of a step "
                f"({self.problems_per_step} problems x {self.samples} samples) must make whole "
                f"batches of each process (got batches of {self.batch_size}, processes: "
                f"{_processes()})"
            )
        if not self.outcome_weight and not self.reward_weight:
            raise ConfigError("the weights of outcome and reward are both 0; nothing is learnt")
        check_trackers(self.report_to)

    @property
    def step_weight(self) -> float:
        """Weight of the advantages of single steps."""
        return self.reward_weight if self.credit == "step" else 0.0

    @property
    def process_weight(self) -> float:
        """Weight of the steps' values as a reward of the whole solution."""
        return self.reward_weight if self.credit == "solution" else 0.0


def train_grpo(
    model: str,
    problems: Sequence[Problem],
    task: Task,
    out: Path,
    *,
    reward: RewardFunction | None,
    reward_name: str | None,
    format_: PolicyFormat,
    settings: GrpoSettings,
    resume: bool = False,
    progress: FitProgress | None = None,
) -> TrainReport:
    """Train a policy on problems, and save it in `out`.

    Args:
      model: folder of the model to begin with.
      problems: what is trained on.
      task: grades solutions.
      out: folder of the new model.
      reward: scores their steps; needed if it has a weight, else only told of in the log.
      reward_name: what it is called, for the folder's claim.
      format_: how the policy is prompted and where its steps end.
      settings: how to train.
      resume: whether to go on with what `out` holds.
      progress: told of each step, with the mean reward.
    Raises:
      ConfigError: the model, `out` or a setting cannot be used.
      DataError: `out` cannot be written.
      BackendError: the reward model scores nothing.
    """
    _check(problems, reward, settings)
    tokenizer = load_training_tokenizer(model)
    network = load_network(model, None)
    cutter = StepCutter(tokenizer, format_.separator)
    claim = {
        "stage": "grpo", "model": model, "reward": reward_name,
        "aggregation": None if reward is None else reward.aggregation,
        "prompt": format_.prompt_template, "separator": format_.separator,
        "data": _digest(problems), **asdict(settings),
    }  # fmt: skip
    for free in ("save_every", "report_to", "cpu", "gradient_checkpointing", "batch_size"):
        del claim[free]
    with training_folder(out, claim, resume=resume), without_progress_bar(), _without_advice():
        judge = Judge(task, cutter, {tokenizer.eos_token_id}, reward)
        encoder = PromptEncoder(tokenizer, format_)
        found = _fit(
            network, tokenizer, problems, encoder, judge, out, settings=settings, progress=progress
        )
        save_trained(network, tokenizer, out, format_, found)
    return found


def _check(
    problems: Sequence[Problem], reward: RewardFunction | None, settings: GrpoSettings
) -> None:
    if settings.reward_weight and reward is None:
        raise ConfigError("the reward model has a weight and none was named; name one (--reward)")
    if len(problems) < settings.problems_per_step:
        raise ConfigError(
            f"a step takes {settings.problems_per_step} problems and there are {len(problems)}"
        )


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep from the user what is meant for others.

    That is what transformers tells TRL's authors about names to come, and TRL, at every step, the
    author of a reward function that returns None: what cannot be graded.
    """
    told = logging.getLogger("trl.trainer.grpo_trainer")
    level = told.level
    told.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        try:
            yield
        finally:
            told.setLevel(level)


def _digest(problems: Sequence[Problem]) -> str:
    """Return a digest of the problems: training goes on with the same ones only."""
    text = repr([(problem.id, problem.question, problem.answer) for problem in problems])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _fit(
    network: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    encoder: PromptEncoder,
    judge: Judge,
    out: Path,
    *,
    settings: GrpoSettings,
    progress: FitProgress | None,
) -> TrainReport:
    """Train a network in place, and return what was trained on."""
    from datasets import Dataset

    from stepnav.train.rl.grpo_trainer import NUMBER, StepGRPOTrainer

    checkpoint = last_checkpoint(out / CHECKPOINTS)
    done = 0 if checkpoint is None else step_of(checkpoint)
    per_step = settings.problems_per_step * settings.samples
    log = RewardLog(out / LOG, progress, done, per_step, settings.max_tokens)
    rows = [{"prompt": p.question, NUMBER: number} for number, p in enumerate(problems)]
    with explaining(out, checkpoint, log):
        trainer = StepGRPOTrainer(
            problems=problems,
            encoder=encoder,
            judge=judge,
            step_weight=settings.step_weight,
            process_weight=settings.process_weight,
            outcome_weight=settings.outcome_weight,
            model=network,
            args=_arguments(out, settings),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[log],
        )
        without_printers(trainer)
        is_over = checkpoint is not None and (done >= settings.steps or log.is_enough)
        seconds = _train(trainer, checkpoint, is_over)
    fit = fit_result(trainer, seconds)
    return TrainReport(
        fit.steps * per_step, len(problems), log.tokens, log.tokens, log.tokens, CutCount(),
        settings.max_new_tokens, False, fit,
    )  # fmt: skip


def _train(trainer: Any, checkpoint: Path | None, is_over: bool) -> float:
    """Train to the end and return the seconds; what is over already is only loaded."""
    if is_over:
        trainer.state = TrainerState.load_from_json(str(checkpoint / STATE))  # type: ignore[operator]
        trainer._load_from_checkpoint(str(checkpoint))
        return 0.0
    found = trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    return float(found.metrics["train_runtime"])


def _arguments(out: Path, settings: GrpoSettings) -> Any:
    """Return TRL's settings."""
    from trl import GRPOConfig

    solutions = settings.problems_per_step * settings.samples
    batches = solutions // (settings.batch_size * _processes())
    return GRPOConfig(
        **shared_arguments(out, settings),
        max_steps=settings.steps,
        gradient_accumulation_steps=batches,
        steps_per_generation=batches,
        num_generations=settings.samples,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        top_k=0,
        beta=settings.kl,
        loss_type="grpo",
        scale_rewards="group",
        lr_scheduler_type="constant",
        gradient_checkpointing=settings.gradient_checkpointing,
    )


def _processes() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
