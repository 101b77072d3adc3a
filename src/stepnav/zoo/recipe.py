"""Makes the models of a domain again, from nothing.

Stages: tokenizer, language model, labels, reward model, evaluation, cards. Every stage leaves a
file or folder behind and is skipped when it is there; training continues from its last checkpoint.
The policy is an early snapshot of the language model, so that search has something to do; the
reward model grows from the finished language model and learns from labelled solutions, which each
domain makes in its own way.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.files.atomic import write_text
from stepnav.files.claim import claim_folder
from stepnav.policies.local.known import FILE_NAME as KNOWN_NAME
from stepnav.rewards.local.step_format import StepFormat
from stepnav.zoo.cards import write_cards
from stepnav.zoo.domain import Making, RecipeProgress
from stepnav.zoo.domains import load_domain
from stepnav.zoo.folders import COMPUTE_NAME, copy_folder, reading
from stepnav.zoo.known import measure_known
from stepnav.zoo.labelled import label_searched, label_solutions, read_labelled
from stepnav.zoo.language import (
    make_tokenizer,
    normalise_language_model,
    save_model,
    snapshot_folder,
    train_language_model,
)
from stepnav.zoo.reward_model import shard_source, train_reward_model
from stepnav.zoo.scale import Scale
from stepnav.zoo.shipped import keep_shipped, known_figures

logger = logging.getLogger("stepnav")


def make_models(
    out: Path,
    *,
    task: str = "arithmetic",
    scale: str = "cpu",
    reward_only: bool = False,
    split: str = "test",
    resume: bool = False,
    seed: int = 0,
    device: str = "cpu",
    progress: RecipeProgress | None = None,
) -> dict[str, Any]:
    """Train a task's models into `out / "TASK-policy"` and `out / "TASK-prm"`.

    Args:
      out: folder for models and, under `work`, for everything in between.
      task: key of `domains.DOMAINS`.
      scale: "cpu" (the shipped models; about two core-hours) or "tiny" (seconds, for tests; useless
        models).
      reward_only: keep the shipped policy, and the language model inside the shipped reward model;
        make the labels and the reward model again, and take over the policy's figures.
      split: what the reward model is measured on: "dev" while choosing, "test" at the end.
      resume: continue what `out` holds; without it a folder that is not empty is refused.
      seed: seeds data, initial weights and samples.
      device: torch device.
      progress: see `RecipeProgress`.

    Returns:
      The evaluation, as saved beside the weights.

    Raises:
      ConfigError: the task, the scale or the split is unknown, or `out` is not empty and
        `resume` is not set.
      DataError: a file of an earlier run is broken, or nothing can be written.
    """
    domain = load_domain(task)
    if scale not in domain.scales:
        raise ConfigError(f"unknown scale {scale!r}; use one of {', '.join(domain.scales)}")
    if split not in ("dev", "test"):
        raise ConfigError(f"unknown split {split!r}; use dev or test")
    settings = {"task": task, "scale": scale, "seed": seed}
    if reward_only:
        settings["reward_only"] = True
    claim_folder(out / "recipe.json", settings, noun="recipe's run", resume=resume)
    recipe = _Recipe(out, domain, scale, seed, device, progress)
    return recipe.run(split, reward_only=reward_only)


class _Recipe(Making):
    """The stages, in order, and where each leaves its result."""

    def run(self, split: str, *, reward_only: bool) -> dict[str, Any]:
        """Run every stage that is not done."""
        self.work.mkdir(exist_ok=True)
        if reward_only:
            self.tokenizer = keep_shipped(self.out, self.domain)
        else:
            self.make_language_model()
            self.keep_policy()
        self.make_reward_model()
        self.keep_known()
        evaluation = self.evaluate(split, known_figures(self.domain) if reward_only else None)
        write_cards(self.out, self.domain, evaluation)
        return evaluation

    def make_language_model(self) -> None:
        """Make the tokenizer, the language model, and the one with a constant normaliser."""
        self.tokenizer = make_tokenizer(self)
        train_language_model(self)
        normalise_language_model(self)

    def make_reward_model(self) -> None:
        """Make the labelled solutions, by the policy that is kept, and the reward model."""
        label_solutions(self, self.load_lm(self.policy, sampling=True))
        searched = None
        if self.scale.search_problems:
            first, searched = self.work / "first", self.work / "labelled" / "searched.jsonl"
            self.train_on_labels("prm-first", first, self.scale.prm_tokens // 4)
            label_searched(self, searched, first)
        self.train_on_labels("prm", self.prm, self.scale.prm_tokens, searched)

    def train_on_labels(
        self, name: str, target: Path, tokens: int, searched: Path | None = None
    ) -> None:
        """Train a reward model on the labelled samples, and on what searches drew."""
        train_reward_model(
            self,
            self.work / name,
            target,
            self.load_lm(self.work / "normalised" / "final"),
            shard_source(self, searched),
            tokens=tokens,
            progress=self.stage("reward model" if name == "prm" else "first reward model"),
        )

    def load_lm(self, folder: Path, *, sampling: bool = False) -> Any:
        """Return a saved language model, in bfloat16 where only training samples are drawn."""
        import torch
        from transformers import AutoModelForCausalLM

        dtype = torch.bfloat16 if sampling else torch.float32
        with reading(folder):
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        return model.to(self.device).eval()

    def keep_policy(self) -> None:
        """Copy the snapshot that becomes the policy, as it ships, and say how it is prompted."""
        scale, target = self.scale, self.policy
        source = snapshot_folder(self.work / "lm", scale.policy_tokens)
        if scale.policy_tokens == scale.lm_tokens:
            source = self.work / "lm" / "final"
        if scale.policy_dtype == "float32":
            copy_folder(source, target)
        elif not target.exists():
            import torch

            dtype = getattr(torch, scale.policy_dtype)
            save_model(self.load_lm(source).to(dtype), self.tokenizer, target)
        self.domain.policy_format.save(target)

    def keep_known(self) -> None:
        """Measure what the policy knows, where its domain has questions from elsewhere."""
        if self.domain.strange and not (self.policy / KNOWN_NAME).exists():
            measure_known(self).save(self.policy)

    def evaluate(self, split: str, known: dict[str, Any] | None) -> dict[str, Any]:
        """Measure the models on a split, once; later calls read the result."""
        import torch
        from transformers import AutoModelForTokenClassification

        from stepnav.zoo.evaluation import evaluate_models

        path = self.work / ("evaluation.json" if split == "test" else f"evaluation-{split}.json")
        if not path.exists():
            with reading(self.prm):
                prm = AutoModelForTokenClassification.from_pretrained(self.prm, dtype=torch.float32)
            evaluation = evaluate_models(
                self,
                policy=self.load_lm(self.policy),
                backbone=self.load_lm(self.work / "lm" / "final"),
                prm=prm.to(self.device).eval(),
                step_format=StepFormat.load(self.prm),
                split=split,
                known=known,
            )
            evaluation["recipe"] = self.facts()
            write_text(path, json.dumps(evaluation, indent=2) + "\n")
        for folder in (self.policy, self.prm):
            shutil.copyfile(path, folder / "evaluation.json")
        with reading(path):
            return dict(json.loads(path.read_text()))

    def facts(self) -> dict[str, Any]:
        """Return how the models were made, for the cards."""
        records = read_labelled(self.work / "labelled")
        parts = ["lm", "normalised", *(["prm-first"] if self.scale.search_problems else []), "prm"]
        compute = {p: json.loads((self.work / p / COMPUTE_NAME).read_text()) for p in parts}
        return {
            "task": self.domain.name,
            "scale": self.scale_name,
            "seed": self.seed,
            "device": self.device,
            "settings": {name: getattr(self.scale, name) for name in Scale.__dataclass_fields__},
            "labelled_solutions": len(records),
            "labelled_steps": sum(
                label is not None for record in records for label in record.labels
            ),
            "compute": compute,
        }
