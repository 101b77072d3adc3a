"""The training loop of the language model and the reward model: resumable, deterministic.

A run can be killed at any moment and goes on from its last checkpoint. Absent: several devices.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from stepnav.core.errors import DataError
from stepnav.engine.checkpoint.weights import non_finite_weight
from stepnav.zoo.training.batches import Ints, TokenExamples, plan_batches
from stepnav.zoo.training.optimizers import make_optimizers
from stepnav.zoo.training.settings import TrainSettings

LOG_NAME = "log.jsonl"
CHECKPOINT_NAME = "checkpoint.pt"
MAX_SHAPES = 64
"""Batch shapes that are compiled; torch stops at 8 otherwise."""

logger = logging.getLogger("stepnav")

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(tokens (B, T), targets (B, T)) -> scalar loss."""
Source = Callable[[int], TokenExamples]
"""Epoch number -> the examples of that epoch."""
Progress = Callable[[int, int, float], None]
"""(tokens done, tokens in all, latest loss)."""


@dataclass(slots=True)
class Position:
    """Where a run stands; saved with every checkpoint."""

    step: int = 0
    tokens: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0


def compiled(loss: Loss, *, enabled: bool, device: torch.device) -> Loss:
    """Return the loss compiled, or as it is where no compiler works."""
    if not enabled or (
        device.type == "cpu" and not any(shutil.which(name) for name in ("c++", "g++", "clang++"))
    ):
        logger.info("training runs uncompiled")
        return loss
    torch._dynamo.config.recompile_limit = MAX_SHAPES
    compiled_loss: Loss = torch.compile(loss, dynamic=False)
    return compiled_loss


class Trainer:
    """Trains one model on one set of examples and can be killed at any moment.

    Args:
      model: the model; trained in place.
      loss: loss of a batch under `model`.
      source: gives the examples of each epoch; called once per epoch and process.
      pad_id: token that fills rows up.
      folder: checkpoint and log go here; a checkpoint found there is continued.
      settings: how to train.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        loss: Loss,
        source: Source,
        *,
        pad_id: int,
        folder: Path,
        settings: TrainSettings,
    ) -> None:
        self.model = model
        self.source = source
        self.pad_id = pad_id
        self.folder = folder
        self.settings = settings
        self.device = next(model.parameters()).device
        self.loss = compiled(loss, enabled=settings.compile, device=self.device)
        torch.manual_seed(settings.seed)
        self.optimizers = make_optimizers(model, settings)
        self.position = Position()
        self._logged = (0.0, 0)
        folder.mkdir(parents=True, exist_ok=True)
        self._restore()

    @property
    def is_finished(self) -> bool:
        """Whether all tokens were trained on."""
        return self.position.tokens >= self.settings.total_tokens

    def run(
        self,
        *,
        progress: Progress | None = None,
        on_snapshot: Callable[[int], None] | None = None,
    ) -> Position:
        """Train to the end.

        Args:
          progress: called at every log line.
          on_snapshot: called with the planned token count once each of `settings.snapshot_tokens`
            is passed.
        """
        self.model.train()
        saved_at = time.monotonic()
        self._logged = (saved_at, self.position.tokens)
        for batch in self._batches():
            started, before = time.monotonic(), self.position.tokens
            loss = self._step(batch)
            self.position.seconds += time.monotonic() - started
            if self.position.step % self.settings.log_steps == 0:
                self._log(float(loss), progress)
            self._snapshot(before, on_snapshot)
            is_updated = self.position.step % self.settings.accumulate == 0
            if is_updated and time.monotonic() - saved_at >= self.settings.checkpoint_s:
                self.save()
                saved_at = time.monotonic()
        self.save()
        self.model.eval()
        return self.position

    def _batches(self) -> Iterator[Ints]:
        """Yield batches, epoch after epoch, until all tokens were trained on."""
        while not self.is_finished:
            for batch in self._epoch():
                if self.position.tokens >= self.settings.total_tokens:
                    return
                yield batch

    def _epoch(self) -> list[Ints]:
        """Return this epoch's batches that are still to do; start the next if none is left."""
        plan = self._plan()
        if self.position.batch >= len(plan):
            self.position.epoch, self.position.batch = self.position.epoch + 1, 0
            plan = self._plan()
        return plan[self.position.batch :]

    def _plan(self) -> list[Ints]:
        self.examples = self.source(self.position.epoch)
        seed = self.settings.seed * 1_000_003 + self.position.epoch
        return plan_batches(
            self.examples.lengths, batch_tokens=self.settings.batch_tokens, seed=seed
        )

    def _step(self, batch: Ints) -> torch.Tensor:
        """Train on one batch and advance the position."""
        arrays = self.examples.padded(
            batch, pad_id=self.pad_id, batch_tokens=self.settings.batch_tokens
        )
        ids, targets = (torch.from_numpy(array).to(self.device) for array in arrays)
        factor = self.settings.rate_factor(self.position.tokens)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16):
            loss = self.loss(ids, targets)
        (loss / self.settings.accumulate).backward()
        self.position.step += 1
        self.position.batch += 1
        self.position.tokens += int(self.examples.lengths[batch].sum())
        if self.position.step % self.settings.accumulate == 0:
            self._update(factor)
        return loss.detach()

    def _update(self, factor: float) -> None:
        """Let the optimisers take one step at this share of their peak rates.

        Raises:
          DataError: the gradient is no number; the weights are as they were.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.max_grad_norm)
        if not math.isfinite(norm):
            raise self._diverged(f"the gradient's norm is {float(norm)}")
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def _snapshot(self, before: int, on_snapshot: Callable[[int], None] | None) -> None:
        for tokens in self.settings.snapshot_tokens:
            if on_snapshot is not None and before < tokens <= self.position.tokens:
                self.model.eval()
                on_snapshot(tokens)
                self.model.train()

    def _log(self, loss: float, progress: Progress | None) -> None:
        """Append a line to the log and report progress."""
        if not math.isfinite(loss):
            raise self._diverged(f"the loss is {loss}")
        now = time.monotonic()
        logged_at, logged_tokens = self._logged
        rate = (self.position.tokens - logged_tokens) / max(1e-9, now - logged_at)
        self._logged = (now, self.position.tokens)
        line = {
            "step": self.position.step,
            "tokens": self.position.tokens,
            "loss": round(loss, 5),
            "tokens_per_s": round(rate, 1),
            "seconds": round(self.position.seconds, 1),
        }
        with (self.folder / LOG_NAME).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if progress is not None:
            progress(self.position.tokens, self.settings.total_tokens, loss)

    def save(self) -> None:
        """Write a checkpoint, whole or not at all.

        Raises:
          DataError: the disk is full or cannot be written, or a weight is no number; the last
            checkpoint is as it was.
        """
        if found := non_finite_weight(self.model):
            raise self._diverged(found)
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "position": asdict(self.position),
            "torch_rng": torch.get_rng_state(),
        }
        if self.device.type == "cuda":  # dropout draws there
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        path = self.folder / CHECKPOINT_NAME
        partial = path.with_suffix(".partial")
        try:
            torch.save(state, partial)
            os.replace(partial, path)
        except (OSError, RuntimeError) as error:  # torch's writer knows the second only
            partial.unlink(missing_ok=True)
            raise DataError(
                f"cannot write {path} ({_first_line(error)}); the last checkpoint is kept: "
                "free some space, then go on"
            ) from error

    def _diverged(self, what: str) -> DataError:
        step = self.position.step
        return DataError(
            f"{what} at step {step}; the checkpoint before it is kept in {self.folder}: train "
            "again elsewhere at a lower rate"
        )

    def _restore(self) -> None:
        path = self.folder / CHECKPOINT_NAME
        if not path.exists():
            return
        try:
            state = torch.load(path, map_location=self.device, weights_only=False)
            self.model.load_state_dict(state["model"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.position = Position(**state["position"])
            torch.set_rng_state(state["torch_rng"].cpu())
            if self.device.type == "cuda" and "cuda_rng" in state:  # older ones lack it
                torch.cuda.set_rng_state(state["cuda_rng"].cpu(), self.device)
        except Exception as error:  # torch, zipfile and pickle raise many kinds
            raise DataError(
                f"the checkpoint {path} is broken or of another model ({_first_line(error)}); "
                "delete it to train from the start"
            ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
