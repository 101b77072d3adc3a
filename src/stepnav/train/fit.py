"""Fine-tuning on `transformers.Trainer` with our batches and losses.

What the Trainer can do comes with it: accelerate and torchrun, bfloat16, gradient checkpointing,
trackers. Ours are the batches (`collate`), the loss, normalised by the labelled tokens of the whole
step whatever the number of processes and accumulated batches, resuming from the last whole
checkpoint, and saving whole or not at all.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.integrations import get_available_reporting_integrations
from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerState

from stepnav.core.errors import ConfigError, DataError, StepnavError, one_line
from stepnav.engine.weights import non_finite_weight
from stepnav.files.atomic import write_text
from stepnav.files.claim import claim_folder
from stepnav.files.lock import locked
from stepnav.train.collate import TreeCollator, tree_mask
from stepnav.train.labelled_only import LabelledOnly
from stepnav.train.shards import (
    is_sharded,
    keep_latest,
    load_shards,
    load_weight_shards,
    save_shards,
    shard_model,
)
from stepnav.train.solutions import Tree

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(outputs at the labelled tokens [M, C], labels [M]) to their losses [M]."""

FitProgress = Callable[[int, int, "float | None"], None]
"""(optimizer steps done, in all, latest mean loss)."""

CHECKPOINTS = "checkpoints"
CLAIM = "training.json"
CPU_PASS_TOKENS = 512
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS})
LOG = "log.jsonl"
STATE = "trainer_state.json"
"""Written last: a checkpoint that has it is whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FitSettings:
    """How to train.

    Attributes:
      epochs: passes over the data.
      max_steps: optimizer steps; None for as many as the epochs take.
      learning_rate: its highest value.
      schedule: how it falls: "cosine", "linear" or "constant".
      warmup: share of the steps in which it rises.
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


@dataclass(eq=False)
class Groups(torch.utils.data.Dataset):  # type: ignore[misc]
    """The training set: item i is a group of trees that stay in one batch."""

    groups: Sequence[Sequence[Tree]]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Sequence[Tree]:
        return self.groups[index]


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
    known = get_available_reporting_integrations()
    for name in settings.report_to:
        if name not in known:
            raise ConfigError(
                f"--report-to {name!r} is unknown or not installed; there is "
                f"{', '.join(known) or 'none'}"
            )
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
    watcher = _Watcher(out / LOG, progress, 0 if checkpoint is None else _step_of(checkpoint))
    try:
        trainer = _StepTrainer(
            loss,
            model=model,
            args=arguments,
            train_dataset=Groups(groups),
            data_collator=TreeCollator(pad_id, is_packed, _pass_tokens(settings)),
            callbacks=[watcher],
        )
        for printer in (PrinterCallback, ProgressCallback):
            trainer.remove_callback(printer)
        seconds = trainer.run(checkpoint)
    except StepnavError:
        raise
    except Exception as error:  # safetensors has kinds of its own
        explained = _explained(error, out, None if watcher.has_begun else checkpoint)
        if explained is None:
            raise
        raise explained from error
    return FitResult(
        trainer.state.global_step,
        [(row["step"], row["loss"]) for row in trainer.state.log_history if "loss" in row],
        seconds,
        trainer.is_world_process_zero(),
    )


class _StepTrainer(Trainer):  # type: ignore[misc]
    """The Trainer with a loss at labelled tokens only."""

    def __init__(self, loss: Loss, **options: Any) -> None:
        super().__init__(**options)
        self._loss = loss
        # the loss below is already divided by the labels of all accumulated batches and processes
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self._loss_shifts_labels = False
        self._labelled_only = LabelledOnly.of(self.model)
        self._takes_bool_masks = self.model.config._attn_implementation != "eager"
        if is_sharded(self.model):  # nothing is left to wrap, on whatever device
            prepare = self.accelerator.prepare_model
            self.accelerator.prepare_model = lambda model, **_: prepare(
                model, device_placement=False, evaluation_mode=True
            )

    def run(self, checkpoint: Path | None) -> float:
        """Train to the end, from a checkpoint if there is one; return the seconds.

        The Trainer sees only after a step that it was the last one, so it is not asked to go on
        from the end.
        """
        if checkpoint is None:
            return float(self.train().metrics["train_runtime"])
        state = TrainerState.load_from_json(str(checkpoint / STATE))
        if not 0 < state.max_steps <= state.global_step:
            found = self.train(resume_from_checkpoint=str(checkpoint))
            return float(found.metrics["train_runtime"])
        self.state = state
        if is_sharded(self.model):
            load_weight_shards(checkpoint, self.model)
        else:
            self._load_from_checkpoint(str(checkpoint))
        return 0.0

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the sum of the labels' weighted losses over the whole step's label count."""
        labels = inputs["labels"]
        outputs = [self._outputs(model, part) for part in inputs["passes"]]
        count = len(labels) if num_items_in_batch is None else num_items_in_batch
        # gradients are averaged over the processes, and the count is that of all of them
        losses = (self._loss(torch.cat(outputs), labels) * inputs["weights"]).sum()
        loss = losses / count * self.accelerator.num_processes
        return (loss, {"logits": torch.cat(outputs)}) if return_outputs else loss

    def _outputs(self, model: Any, inputs: dict[str, Any]) -> Any:
        """Return the model's outputs at the labelled tokens of one pass."""
        inputs = dict(inputs)
        places = inputs.pop("places")
        ends = inputs.pop("ends", None)
        if "attention_mask" in inputs:  # plain rows are the reference, computed whole
            return model(**inputs, use_cache=False).logits.flatten(0, 1)[places]
        if ends is not None:
            inputs["attention_mask"] = self._mask(ends)
        return self._labelled_only.outputs(model, inputs, places)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint; of a sharded model each process saves its own part.

        Raises:
          DataError: a weight is no number; the last checkpoint stays.
        """
        if found := non_finite_weight(self.model):
            raise diverged(found, self.state.global_step)
        if not is_sharded(self.model):
            super()._save_checkpoint(model, trial)
            return
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        save_shards(folder, self.model, self.optimizer, self.lr_scheduler)
        self._save_rng_state(str(folder))
        torch.distributed.barrier()
        if self.args.should_save:
            self.state.save_to_json(str(folder / STATE))
            keep_latest(folder.parent, self.args.save_total_limit)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights, unless they are sharded and come with the optimizer's state."""
        if not is_sharded(self.model):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load the state of optimizer and schedule; of a sharded model, its weights too."""
        if not is_sharded(self.model):
            super()._load_optimizer_and_scheduler(checkpoint)
        elif checkpoint is not None:
            load_shards(Path(checkpoint), self.model, self.optimizer, self.lr_scheduler)

    def _mask(self, ends: Any) -> Any:
        mask = tree_mask(ends)
        if self._takes_bool_masks:
            return mask
        dtype = next(self.model.parameters()).dtype
        return torch.where(mask, 0.0, torch.finfo(dtype).min).to(dtype)


class _Watcher(TrainerCallback):  # type: ignore[misc]
    """Reports progress and writes the losses down.

    Args:
      log: gets a line per step; those after `done` are taken out.
      progress: told of each step.
      done: steps of the checkpoint that is gone on with.
    """

    def __init__(self, log: Path, progress: FitProgress | None, done: int) -> None:
        self._log = log
        self._progress = progress
        self._done = done
        self._loss: float | None = None
        self.has_begun = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Take out of the log what will be done again."""
        if state.is_world_process_zero and self._log.exists():
            lines = self._log.read_text().splitlines(keepends=True)
            kept = [
                line
                for line in lines
                if line.endswith("\n") and json.loads(line)["step"] <= self._done
            ]
            write_text(self._log, "".join(kept))

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Note that everything is loaded."""
        self.has_begun = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Keep the latest loss; stop before anything is saved if it or its gradient is no number.

        Raises:
          DataError: it is none, in all processes alike.
        """
        if not logs or "loss" not in logs:
            return
        for name, value in (("loss", logs["loss"]), ("gradient's norm", logs.get("grad_norm"))):
            if value is not None and not math.isfinite(value):
                raise diverged(f"the {name} is {value}", state.global_step)
        if state.is_world_process_zero:
            self._loss = logs["loss"]
            row = {
                "step": state.global_step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "grad_norm": logs.get("grad_norm"),
            }
            with self._log.open("a") as file:
                file.write(json.dumps(row) + "\n")

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Tell how far it is."""
        if self._progress is not None and state.is_world_process_zero:
            self._progress(state.global_step, state.max_steps, self._loss)


def diverged(what: str, step: int) -> DataError:
    """Return the error of a training whose numbers are none any more."""
    return DataError(
        f"{what} at step {step}; checkpoints of earlier steps are kept: train again in another "
        "--out with a lower --learning-rate, or check the data with: stepnav data inspect FILE"
    )


def _pass_tokens(settings: FitSettings) -> int | None:
    """Return the tokens of a pass: small ones on a CPU.

    Processes that work together must go through the model equally often, so there it is one pass.
    """
    is_alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    on_cpu = settings.cpu or not torch.cuda.is_available()
    return CPU_PASS_TOKENS if is_alone and on_cpu else None


def _arguments(out: Path, settings: FitSettings) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        num_train_epochs=settings.epochs,
        max_steps=-1 if settings.max_steps is None else settings.max_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup"
        if settings.schedule == "constant"
        else settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        seed=settings.seed,
        bf16=settings.bf16,
        ddp_find_unused_parameters=False,
        save_strategy="steps" if settings.save_every else "no",
        save_steps=settings.save_every or 500,
        save_total_limit=2,
        logging_steps=1,
        # else a loss that is no number counts as the mean of those before it
        logging_nan_inf_filter=False,
        report_to=list(settings.report_to) or "none",
        use_cpu=settings.cpu,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available() and not settings.cpu,
        average_tokens_across_devices=True,
    )


def last_checkpoint(folder: Path, *, clean: bool = True) -> Path | None:
    """Return the latest whole checkpoint; its state file is written last.

    Args:
      folder: of the checkpoints.
      clean: whether to remove what a killed run left unfinished.
    """
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        try:
            json.loads((path / STATE).read_text())
            found.append((_step_of(path), path))
        except (OSError, ValueError):
            if clean:
                shutil.rmtree(path, ignore_errors=True)
    return max(found)[1] if found else None


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _explained(error: Exception, out: Path, checkpoint: Path | None) -> StepnavError | None:
    """Return an error of the Trainer as one of ours, None if the user can do nothing about it.

    Args:
      error: what it raised.
      out: folder of the training.
      checkpoint: what was being read; None once training goes on.
    """
    text = one_line(error)
    if "out of memory" in text.lower() or "can't allocate memory" in text.lower():
        return ConfigError(
            f"{text}; lower --batch-size and raise --accumulate as much, lower --max-length, or "
            "set --gradient-checkpointing"
        )
    if checkpoint is not None:
        return DataError(f"{checkpoint} is broken ({text}); remove it, then go on with --resume")
    is_full = isinstance(error, OSError) and error.errno in DISK_ERRORS
    words = ("No space left", "File too large", "PytorchStreamWriter")
    if is_full or any(word in text for word in words):
        return DataError(
            f"cannot write to {out} ({text}); free some space, then go on with --resume"
        )
    return None
