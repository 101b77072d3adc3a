"""Trains a process reward model: a token classifier, read at each step's last token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from stepnav.zoo.training.batches import IGNORED
from stepnav.zoo.training.loop import Loss, Position, Progress, Source, Trainer
from stepnav.zoo.training.settings import TrainSettings
from stepnav.zoo.training.targets import STEP_END

DENSE_WEIGHT = 0.5
"""Weight of the mean loss over dense tokens; that over the steps' last tokens has weight 1."""


def classifier_loss(
    model: torch.nn.Module, *, class_weights: tuple[float, ...] | None = None
) -> Loss:
    """Return the loss of a token classifier on the targets of `encode_records`.

    Args:
      model: a `transformers` token classifier.
      class_weights: weight of each class, None for equal ones.
    """

    def loss(ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = model(input_ids=ids).logits.float()
        is_end = (targets >= STEP_END).flatten()
        is_dense = (targets >= 0).flatten() & ~is_end
        classes = torch.where(targets >= STEP_END, targets - STEP_END, targets).flatten()
        weight = (
            None if class_weights is None else torch.tensor(class_weights, device=logits.device)
        )
        losses = F.cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            classes,
            weight=weight,
            ignore_index=IGNORED,
            reduction="none",
        )
        at_ends = (losses * is_end).sum() / is_end.sum().clamp_min(1)
        at_tokens = (losses * is_dense).sum() / is_dense.sum().clamp_min(1)
        return at_ends + DENSE_WEIGHT * at_tokens

    return loss


def train_prm(
    model: Any,
    source: Source,
    *,
    pad_id: int,
    folder: Path,
    settings: TrainSettings,
    class_weights: tuple[float, ...] | None = None,
    progress: Progress | None = None,
) -> Position:
    """Train a PRM in place, going on from the checkpoint in `folder` if there is one.

    Args:
      model: a `transformers` token classifier.
      source: gives what `encode_records` made, per epoch.
      pad_id: token that fills rows up.
      folder: for the checkpoint and `log.jsonl`.
      settings: how to train.
      class_weights: see `classifier_loss`.
      progress: called with (tokens done, tokens in all, latest loss).

    Returns:
      Where the run ended.
    """
    loss = classifier_loss(model, class_weights=class_weights)
    trainer = Trainer(model, loss, source, pad_id=pad_id, folder=folder, settings=settings)
    return trainer.run(progress=progress)
