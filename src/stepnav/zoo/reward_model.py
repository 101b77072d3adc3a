"""Recipe stage that makes the reward model.

It is grafted on the normalised backbone, and its top is trained on labelled solutions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.files.atomic import whole_folder
from stepnav.rewards.local.step_format import StepFormat
from stepnav.zoo.domain import Making
from stepnav.zoo.folders import reading, write_compute
from stepnav.zoo.labelled import shard_paths
from stepnav.zoo.scale import Scale
from stepnav.zoo.training.loop import Progress
from stepnav.zoo.training.settings import TrainSettings

if TYPE_CHECKING:
    from stepnav.labels.records import StepRecord
    from stepnav.zoo.training.batches import TokenExamples

MEASURED_EXAMPLES = 200
"""Solutions from which the backbone's sizes are measured."""


def shard_source(making: Making, searched: Path | None = None) -> Callable[[int], TokenExamples]:
    """Return what gives an epoch's tokens: one shard in turn, and all that searches drew."""
    from stepnav.labels.stepwise import read_records
    from stepnav.zoo.training.targets import encode_records

    shards = shard_paths(making.work / "labelled", making.scale)

    def examples(epoch: int) -> TokenExamples:
        records: list[StepRecord] = []
        for path in (shards[epoch % len(shards)], searched):
            if path is not None:
                with reading(path):
                    records += read_records(path)
        return encode_records(making.tokenizer, records, StepFormat())

    return examples


def train_reward_model(
    making: Making,
    folder: Path,
    target: Path,
    backbone: Any,
    source: Callable[[int], TokenExamples],
    *,
    tokens: int,
    progress: Progress,
) -> None:
    """Train the reward model into `target`, unless it is there.

    Args:
      making: the run.
      folder: for checkpoints and the account of compute.
      target: the finished model's folder.
      backbone: the normalised language model.
      source: gives the tokens of each epoch.
      tokens: trained on so many.
      progress: called with (tokens done, tokens in all, latest loss).
    """
    import torch

    from stepnav.zoo.training.graft import graft_classifier, train_top_only
    from stepnav.zoo.training.prm import train_prm

    scale, tokenizer = making.scale, making.tokenizer
    if (target / "config.json").exists():
        return
    folder.mkdir(exist_ok=True)
    examples = source(0)
    (separator_id,) = tokenizer.encode(StepFormat().separator, add_special_tokens=False)
    torch.manual_seed(making.seed)
    measured = [examples.row(n)[0] for n in range(min(MEASURED_EXAMPLES, len(examples)))]
    model = graft_classifier(backbone.cpu(), measured, separator_id=separator_id)
    model.to(making.device).dropout.p = scale.prm_dropout
    train_top_only(model)
    position = train_prm(
        model,
        source,
        pad_id=tokenizer.pad_token_id,
        folder=folder,
        settings=_settings(scale, tokens, making.seed),
        class_weights=tuple(
            scale.prm_negative_weight if label == -1 else 1.0 for label in StepFormat().labels
        ),
        progress=progress,
    )
    with torch.no_grad():
        for rating, bias in ((-1, scale.prm_negative_bias), (0, scale.prm_neutral_bias)):
            model.score.bias[StepFormat().labels.index(rating)] += bias
    write_compute(folder, tokens=position.tokens, seconds=position.seconds)
    save_reward_model(model.to(torch.bfloat16), tokenizer, target)


def _settings(scale: Scale, tokens: int, seed: int) -> TrainSettings:
    """Return how the top is trained: gently, as what lies below it is good from the start."""
    return TrainSettings(
        total_tokens=tokens,
        batch_tokens=scale.prm_batch_tokens,
        accumulate=2,
        muon_rate=0.003,
        adamw_rate=1e-3,
        warmup_tokens=tokens // 40,
        decay_fraction=0.7,
        bfloat16=False,
        compile=False,
        seed=seed,
    )


def save_reward_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save a reward model with its tokenizer and step format, whole or not at all."""
    with whole_folder(folder) as place:
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)
        StepFormat().save(place)
