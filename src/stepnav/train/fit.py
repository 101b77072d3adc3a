"""Fine-tuning on `transformers.Trainer` with our batches and losses.

What the Trainer can do comes with it: accelerate and torchrun, bfloat16, gradient checkpointing,
trackers. Ours are the batches (`collate`), the loss (`step_trainer`), resuming from the last whole
checkpoint (`checkpoints`), and saving whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments
from transformers.integrations import get_available_reporting_integrations
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from stepnav.core.errors import ConfigError, one_line
from stepnav.files.claim import claim_folder
from stepnav.files.lock import locked
from stepnav.train.checkpoints import last_checkpoint, step_of
from stepnav.train.collate import TreeCollator
from stepnav.train.shards import shard_model
from stepnav.train.solutions import Tree
from stepnav.train.step_trainer import Groups, Loss, StepTrainer
from stepnav.train.watcher import FitProgress, Watcher, explaining

CHECKPOINTS = "checkpoints"
CLAIM = "training.json"
CPU_PASS_TOKENS = 512
LOG = "log.jsonl"


class FitArguments(TrainingArguments):  # type: ignore[misc]
    """The Trainer's settings, with whole steps of warm-up only.

    The Trainer rounds up: a training of one step would learn at a rate of 0 throughout.
    """

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """Return how many steps the rate rises in."""
        return int(num_training_steps * self.warmup_steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class FitSettings:
    """How to train.

    Attributes:
      epochs: passes over the data.
      max_steps: optimizer steps; None for as many as the epochs take.
      learning_rate: its highest value.
      schedule: how it falls: "cosine", "linear" or "constant".
      warmup: share of the steps in which it rises, rounded down.
      weight_decay: AdamW's.
      max_grad_norm: gradients are scaled down to this norm.
      batch_size: problems (trees of solutions) per process and batch.
      accumulate: batches per optimizer step.
      seed: of order, dropout and new weights.
      bf16: whether to compute in bfloat16, with float32 weights.
      gradient_checkpointing: whether to compute activations twice and keep few of them.
      save_every: optimizer steps between checkpoints; 0 keeps none.
      report_to: trackers, as `transformers` names them; empty for none.
      cpu: whether to stay on the CPU although there is a GPU.
      shard: whether parameters, gradients and optimizer state are split over the processes (FSDP2).
    """

    epochs: float = 1.0
    max_steps: int | None = None
    learning_rate: float = 1e-5
    schedule: str = "cosine"
    warmup: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 8
    accumulate: int = 1
    seed: int = 0
    bf16: bool = False
    gradient_checkpointing: bool = False
    save_every: int = 200
    report_to: tuple[str, ...] = ()
    cpu: bool = False
    shard: bool = False

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise ConfigError(f"epochs must be above 0 (got {self.epochs:g})")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"warmup is a share of the steps, below 1 (got {self.warmup:g})")
        check_trackers(self.report_to)


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that cannot be used, before anything is run.

    Raises:
      ConfigError: one is unknown or not installed.
    """
    known = get_available_reporting_integrations()
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--report-to {name!r} is unknown or not installed; there is "
                f"{', '.join(known) or 'none'}"
            )


@dataclass(frozen=True, slots=True)
class FitResult:
    """What came of a training.

    Attributes:
      steps: optimizer steps in all.
      losses: (step, mean loss per labelled token) as logged, those before a restart included.
      seconds: of this process's part.
      is_main: whether this process is the one that saves and reports.
    """

    steps: int
    losses: list[tuple[int, float]]
    seconds: float
    is_main: bool = True


@contextmanager
def training_folder(out: Path, claim: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
    """Keep a folder for one training, and other processes out of it.

    Of the several processes of one training, the main one does.

    Args:
      out: folder of the model to be; checkpoints and the log stand in it.
      claim: what is trained from what; a run is gone on with under the same claim only.
      resume: whether `out` may hold such a run.

    Raises:
      ConfigError: `out` holds something else, or another training, or one that is going on.
      DataError: `out` cannot be written.
    """
    if not _is_main():
        yield
        return
    claim_folder(out / CLAIM, claim, noun="training", resume=resume)
    with locked(out, CLAIM):
        yield


def prepare(model: Any, out: Path, settings: FitSettings) -> TrainingArguments:
    """Return the Trainer's settings, and make the model ready; nothing is written yet.

    Raises:
      ConfigError: a setting cannot be used here.
    """
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()  # adapters leave the embeddings without gradients
    if settings.shard:
        shard_model(model, cpu=settings.cpu)
    try:
        arguments = _arguments(out, settings)
        # several GPUs are torchrun's, not DataParallel's
        arguments._n_gpu = min(1, arguments.n_gpu)
    except (ValueError, RuntimeError, ImportError) as error:
        raise ConfigError(f"these settings cannot be used here ({one_line(error)})") from None
    return arguments


def fit(
    model: Any,
    groups: Sequence[Sequence[Tree]],
    loss: Loss,
    *,
    out: Path,
    pad_id: int,
    is_packed: bool,
    settings: FitSettings,
    arguments: TrainingArguments,
    progress: FitProgress | None = None,
) -> FitResult:
    """Train a model in place.

    Args:
      model: any `transformers` model that gives `logits`, ready (`prepare`).
      groups: what it learns from.
      loss: of the outputs at labelled tokens.
      out: folder of the training (`training_folder`).
      pad_id: fills rows up.
      is_packed: whether trees share rows.
      settings: how to train.
      arguments: the same for the Trainer (`prepare`).
      progress: told of each step.

    Raises:
      ConfigError: out of memory.
      DataError: the disk is full, or a checkpoint is broken.
    """
    checkpoint = last_checkpoint(out / CHECKPOINTS, clean=_is_main())
    watcher = Watcher(out / LOG, progress, 0 if checkpoint is None else step_of(checkpoint))
    with explaining(out, checkpoint, watcher):
        trainer = StepTrainer(
            loss,
            model=model,
            args=arguments,
            train_dataset=Groups(groups),
            data_collator=TreeCollator(pad_id, is_packed, _pass_tokens(settings)),
            callbacks=[watcher],
        )
        without_printers(trainer)
        seconds = trainer.run(checkpoint)
    return fit_result(trainer, seconds)


def without_printers(trainer: Any) -> None:
    """Take out what prints by itself."""
    for printer in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(printer)


def fit_result(trainer: Any, seconds: float) -> FitResult:
    """Return what a trainer came to."""
    losses = [(row["step"], row["loss"]) for row in trainer.state.log_history if "loss" in row]
    is_main = trainer.is_world_process_zero()
    return FitResult(trainer.state.global_step, losses, seconds, is_main)


def _pass_tokens(settings: FitSettings) -> int | None:
    """Return the tokens of a pass: small ones on a CPU.

    Processes that work together must go through the model equally often, so there it is one pass.
    """
    is_alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    return CPU_PASS_TOKENS if is_alone and trains_on_cpu(settings.cpu) else None


def trains_on_cpu(cpu: bool) -> bool:
    """Return whether a training stays on the CPU: there is no CUDA device, or it was told to.

    The Trainer must be told so too: left to itself it takes bfloat16 for a GPU's.
    """
    return cpu or not torch.cuda.is_available()


def shared_arguments(out: Path, settings: Any) -> dict[str, Any]:
    """Return what `FitSettings` and `GrpoSettings` mean alike, as the Trainer's arguments."""
    on_cpu = trains_on_cpu(settings.cpu)
    return {
        "output_dir": str(out / CHECKPOINTS),
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": settings.batch_size,
        "seed": settings.seed,
        "bf16": settings.bf16,
        "save_strategy": "steps" if settings.save_every else "no",
        "save_steps": settings.save_every or 500,
        "save_total_limit": 2,
        "logging_steps": 1,
        # else a loss that is no number counts as the mean of those before it
        "logging_nan_inf_filter": False,
        "report_to": list(settings.report_to) or "none",
        "use_cpu": on_cpu,
        "disable_tqdm": True,
        "dataloader_pin_memory": not on_cpu,
        "ddp_find_unused_parameters": False,
    }


def _arguments(out: Path, settings: FitSettings) -> TrainingArguments:
    schedule = settings.schedule
    return FitArguments(
        **shared_arguments(out, settings),
        num_train_epochs=settings.epochs,
        max_steps=-1 if settings.max_steps is None else settings.max_steps,
        lr_scheduler_type="constant_with_warmup" if schedule == "constant" else schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        gradient_accumulation_steps=settings.accumulate,
        remove_unused_columns=False,
        average_tokens_across_devices=True,
    )


def _is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0
