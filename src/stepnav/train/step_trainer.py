"""The Trainer with a loss at labelled tokens only, and checkpoints that hold numbers.

The loss is normalised by the labelled tokens of the whole optimizer step, whatever the number of
processes and accumulated batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_callback import TrainerState

from stepnav.engine.checkpoint.weights import non_finite_weight
from stepnav.train.checkpoints import STATE
from stepnav.train.collate import tree_mask
from stepnav.train.failures import diverged
from stepnav.train.labelled_only import LabelledOnly
from stepnav.train.shards import (
    is_sharded,
    keep_latest,
    load_shards,
    load_weight_shards,
    save_shards,
)
from stepnav.train.solutions import Tree

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(outputs at the labelled tokens [M, C], labels [M]) to their losses [M]."""


@dataclass(eq=False)
class Groups(torch.utils.data.Dataset):  # type: ignore[misc]
    """The training set: item i is a group of trees that stay in one batch."""

    groups: Sequence[Sequence[Tree]]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Sequence[Tree]:
        return self.groups[index]


class StepTrainer(Trainer):  # type: ignore[misc]
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
