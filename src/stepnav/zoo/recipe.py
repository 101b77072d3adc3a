"""Makes the shipped models again, from nothing: tokenizer, language model, samples, reward model, evaluation, cards.

Every stage leaves a file or folder behind and is skipped when it is there; training continues from its last checkpoint. The
policy is an early snapshot of the language model, so that search has something to do; the reward model grows from the
finished language model and learns from the policy's own mistakes.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.core.errors import ConfigError
from stepnav.rewards.step_format import StepFormat
from stepnav.train.loop import TrainSettings
from stepnav.zoo.cards import write_cards
from stepnav.zoo.folders import reading, whole_folder
from stepnav.zoo.language import (
    Count,
    make_tokenizer,
    normalise_language_model,
    snapshot_folder,
    train_language_model,
)
from stepnav.zoo.mistakes import read_mistakes, sample_mistakes, shard_paths
from stepnav.zoo.scale import SCALES, Scale

if TYPE_CHECKING:
    from stepnav.train.batches import TokenExamples

POLICY_NAME = "arithmetic-policy"
PRM_NAME = "arithmetic-prm"

logger = logging.getLogger("stepnav")

RecipeProgress = Callable[[str, int, int, "float | None"], None]
"""(stage, done, in all, loss or share of right samples; None where there is no such value)."""


def make_models(
    out: Path,
    *,
    scale: str = "cpu",
    resume: bool = False,
    seed: int = 0,
    device: str = "cpu",
    progress: RecipeProgress | None = None,
) -> dict[str, Any]:
    """Train both shipped models into `out / "arithmetic-policy"` and `out / "arithmetic-prm"`.

    Args:
      out: folder for models and, under `work`, for everything in between.
      scale: "cpu" (the shipped models; about two core-hours) or "tiny" (seconds, for tests; useless models).
      resume: continue what `out` holds; without it a folder that is not empty is refused.
      seed: seeds data, initial weights and samples.
      device: torch device.
      progress: see `RecipeProgress`.

    Returns:
      The evaluation, as saved beside the weights.

    Raises:
      ConfigError: the scale is unknown, or `out` is not empty and `resume` is not set.
      DataError: a file of an earlier run is broken, or nothing can be written.
    """
    if scale not in SCALES:
        raise ConfigError(f"unknown scale {scale!r}; use one of {', '.join(SCALES)}")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; name a folder")
    if out.exists() and any(out.iterdir()) and not resume:
        raise ConfigError(f"{out} is not empty; continue with --resume or name another folder")
    out.mkdir(parents=True, exist_ok=True)
    _claim(out / "recipe.json", {"scale": scale, "seed": seed})
    return _Recipe(out, SCALES[scale], scale, seed=seed, device=device, progress=progress).run()


def _claim(path: Path, settings: dict[str, Any]) -> None:
    """Write down what the folder is for, or check that it is for this."""
    if path.exists():
        with reading(path):
            found = json.loads(path.read_text())
        if found != settings:
            raise ConfigError(
                f"{path.parent} holds a run with {found}, not {settings}; name another folder"
            )
        return
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(settings) + "\n")
    os.replace(partial, path)


class _Recipe:
    """The stages, in order, and where each leaves its result."""

    def __init__(
        self,
        out: Path,
        scale: Scale,
        name: str,
        *,
        seed: int,
        device: str,
        progress: RecipeProgress | None,
    ) -> None:
        self.out, self.work = out, out / "work"
        self.scale, self.name = scale, name
        self.seed, self.device, self.progress = seed, device, progress
        self.work.mkdir(exist_ok=True)

    def run(self) -> dict[str, Any]:
        """Run every stage that is not done."""
        self.tokenizer = make_tokenizer(
            self.work / "tokenizer",
            self.scale,
            seed=self.seed,
            progress=self.count_of("tokenizer's problems"),
        )
        train_language_model(
            self.work / "lm",
            self.tokenizer,
            self.scale,
            seed=self.seed,
            device=self.device,
            progress=self.stage("language model"),
            data_progress=self.count_of("language model's problems"),
        )
        normalise_language_model(
            self.work / "normalised",
            self.work / "lm" / "final",
            self.tokenizer,
            self.scale,
            seed=self.seed,
            device=self.device,
            progress=self.stage("normaliser"),
        )
        self.keep_policy()
        sample_mistakes(
            self.work / "mistakes",
            self.load_lm(self.out / POLICY_NAME, sampling=True),
            self.tokenizer,
            self.scale,
            seed=self.seed,
            progress=self.stage("samples"),
        )
        self.train_prm()
        evaluation = self.evaluate()
        write_cards(self.out, evaluation)
        return evaluation

    def stage(self, name: str) -> Callable[[int, int, float | None], None]:
        """Return the progress callback of one stage."""

        def show(done: int, total: int, value: float | None) -> None:
            if self.progress is not None:
                self.progress(name, done, total, value)

        return show

    def count_of(self, name: str) -> Count:
        """Return the progress callback of a stage that has no value to show."""
        return lambda done, total: self.stage(name)(done, total, None)

    def load_lm(self, folder: Path, *, sampling: bool = False) -> Any:
        """Return a saved language model, in bfloat16 where only training samples are drawn from it."""
        import torch
        from transformers import AutoModelForCausalLM

        dtype = torch.bfloat16 if sampling else torch.float32
        with reading(folder):
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        return model.to(self.device).eval()

    def keep_policy(self) -> None:
        """Copy the snapshot that becomes the policy."""
        source = snapshot_folder(self.work / "lm", self.scale.policy_tokens)
        _copy_folder(source, self.out / POLICY_NAME)

    def train_prm(self) -> None:
        """Graft the reward model on the normalised backbone and train its top on sampled mistakes."""
        import torch

        from stepnav.train.graft import graft_classifier, train_top_only
        from stepnav.train.prm import train_prm

        folder, scale = self.work / "prm", self.scale
        if (self.out / PRM_NAME / "config.json").exists():
            return
        folder.mkdir(exist_ok=True)
        backbone = self.load_lm(self.work / "normalised" / "final")
        examples = self.mistakes(0)
        (separator_id,) = self.tokenizer.encode(StepFormat().separator, add_special_tokens=False)
        torch.manual_seed(self.seed)
        model = graft_classifier(
            backbone.cpu(),
            [examples.row(number)[0] for number in range(min(200, len(examples)))],
            separator_id=separator_id,
        ).to(self.device)
        train_top_only(model)
        position = train_prm(
            model,
            self.mistakes,
            pad_id=self.tokenizer.pad_token_id,
            folder=folder,
            settings=TrainSettings(
                total_tokens=scale.prm_tokens,
                batch_tokens=scale.prm_batch_tokens,
                accumulate=2,
                warmup_tokens=scale.prm_tokens // 40,
                decay_fraction=0.7,
                bfloat16=False,
                compile=False,
                seed=self.seed,
            ),
            progress=self.stage("reward model"),
        )
        with torch.no_grad():
            model.score.bias[StepFormat().labels.index(-1)] += scale.prm_negative_bias
        compute = {"tokens": position.tokens, "seconds": position.seconds}
        (folder / "compute.json").write_text(json.dumps(compute))
        save_prm(model.to(torch.bfloat16), self.tokenizer, self.out / PRM_NAME)

    def mistakes(self, epoch: int) -> TokenExamples:
        """Return the tokens of one shard of samples: the reward model goes through them in turn."""
        from stepnav.train.records import encode_records, read_records

        shards = shard_paths(self.work / "mistakes", self.scale)
        shard = shards[epoch % len(shards)]
        with reading(shard):
            return encode_records(self.tokenizer, read_records(shard), StepFormat())

    def evaluate(self) -> dict[str, Any]:
        """Measure the models on the test split, once; later calls read the result."""
        import torch
        from transformers import AutoModelForTokenClassification

        from stepnav.zoo.evaluation import evaluate_models

        path = self.work / "evaluation.json"
        if not path.exists():
            with reading(self.out / PRM_NAME):
                prm = AutoModelForTokenClassification.from_pretrained(
                    self.out / PRM_NAME, dtype=torch.float32
                )
            prm.to(self.device).eval()
            evaluation = evaluate_models(
                policy=self.load_lm(self.out / POLICY_NAME),
                backbone=self.load_lm(self.work / "lm" / "final"),
                prm=prm,
                tokenizer=self.tokenizer,
                step_format=StepFormat.load(self.out / PRM_NAME),
                split="test",
                num_problems=self.scale.eval_problems,
                samples=self.scale.eval_samples,
                seed=self.seed,
                progress=self.count_of("evaluation"),
            )
            evaluation["recipe"] = self.facts()
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(evaluation, indent=2) + "\n")
            os.replace(partial, path)
        for name in (POLICY_NAME, PRM_NAME):
            shutil.copyfile(path, self.out / name / "evaluation.json")
        with reading(path):
            return dict(json.loads(path.read_text()))

    def facts(self) -> dict[str, Any]:
        """Return how the models were made, for the cards."""
        records = read_mistakes(self.work / "mistakes")
        compute = {
            part: json.loads((self.work / part / "compute.json").read_text())
            for part in ("lm", "normalised", "prm")
        }
        return {
            "scale": self.name,
            "seed": self.seed,
            "device": self.device,
            "settings": {name: getattr(self.scale, name) for name in Scale.__dataclass_fields__},
            "sampled_solutions": len(records),
            "labelled_steps": sum(len(record.labels) for record in records),
            "compute": compute,
        }


def save_prm(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save a reward model with its tokenizer and step format, whole or not at all."""
    with whole_folder(folder) as place:
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)
        StepFormat().save(place)


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a model folder, whole or not at all; keep it if it is there."""
    if not source.exists():
        raise ConfigError(
            f"{source} is missing, so there is no policy; set policy_tokens to a multiple of snapshot_tokens"
        )
    if not target.exists():
        with whole_folder(target) as place:
            shutil.copytree(source, place, dirs_exist_ok=True)
