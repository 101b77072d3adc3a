"""How fast a reward model is trained, beside TRL's PRMTrainer, all else being equal.

Same are data, model, batches, loss and optimizer.

    python benchmarks/train_prm.py --data prm800k/phase1_train.jsonl.gz [--model FOLDER] [--json]

Needs trl 1.13.0, the last with a PRM trainer, in the same environment. "rows" are solutions of
varied length, one a problem, with all their steps labelled; "alternatives" are PRM800K's, 16 of one
problem in each batch, which share their beginnings. Without --model, a random Llama of 14 million
parameters with a tokenizer of its own. Both trainers take the rows in the same order and log the
loss of each step; read the ratios, since machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import datasets
import torch
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, LlamaConfig
from trl.experimental.prm import PRMConfig, PRMTrainer

from stepnav.engine.checkpoint.loading import load_pretrained_tokenizer, load_trainable_classifier
from stepnav.labels.reader import read_labelled
from stepnav.labels.records import StepRecord
from stepnav.train import fit as fit_module
from stepnav.train.finetune import finetune_reward_model
from stepnav.train.fit import FitSettings
from stepnav.zoo.tokenizer import train_tokenizer

LEARNING_RATE = 1e-4
MAX_LENGTH = 1024
GROUP = 16
BATCH = 8


def whole_solutions(records: Sequence[StepRecord]) -> Iterator[StepRecord]:
    """Yield one solution of each problem with all its labels: the longest that was rated."""
    for prompt, group in groupby(records, key=lambda record: record.prompt):
        rated = {record.completions: record.labels[-1] for record in group}
        longest = max(rated, key=len)
        labels = [rated.get(longest[:number]) for number in range(1, len(longest) + 1)]
        if None not in labels:
            yield StepRecord(prompt, longest, tuple(labels))


def alternatives(records: Sequence[StepRecord]) -> Iterator[list[StepRecord]]:
    """Yield the first 16 alternatives of each problem that has so many."""
    for _, group in groupby(records, key=lambda record: record.prompt):
        found = list(group)[:GROUP]
        if len(found) == GROUP:
            yield found


def run_trl(
    base: str, records: Sequence[StepRecord], *, batch: int, only_last: bool
) -> tuple[list[float], float]:
    """Return TRL's losses and seconds."""
    rows = [
        {
            "prompt": record.prompt,
            "completions": [step.strip() for step in record.completions],
            "labels": [1 if label is None else int(label) + 1 for label in record.labels],
        }
        for record in records
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = PRMConfig(
            output_dir=folder, use_cpu=True, bf16=False, per_device_train_batch_size=batch,
            learning_rate=LEARNING_RATE, lr_scheduler_type="constant", num_train_epochs=1,
            logging_steps=1, save_strategy="no", report_to="none", max_length=MAX_LENGTH,
            max_completion_length=None, train_on_last_step_only=only_last, disable_tqdm=True,
            dataloader_pin_memory=False, gradient_checkpointing=False,
        )  # fmt: skip
        torch.manual_seed(0)  # of the new head, as ours
        trainer = PRMTrainer(
            model=load_trainable_classifier(base, num_labels=3),
            args=config,
            processing_class=load_pretrained_tokenizer(base),
            train_dataset=datasets.Dataset.from_list(rows),
        )
        trainer._get_train_sampler = lambda dataset=None: SequentialSampler(trainer.train_dataset)
        found = trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return losses, found.metrics["train_runtime"]


def run_ours(
    base: str, records: Sequence[StepRecord], *, batch: int, pack: bool = True
) -> tuple[list[float], float]:
    """Return our losses and seconds."""
    settings = FitSettings(
        epochs=1, learning_rate=LEARNING_RATE, schedule="constant", warmup=0.0, batch_size=batch,
        save_every=0, cpu=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        report = finetune_reward_model(
            base, records, "rating", Path(folder) / "out", prompt_template="{question}",
            max_length=MAX_LENGTH, max_tree_tokens=16 * MAX_LENGTH, pack=pack, settings=settings,
        )  # fmt: skip
    return [loss for _, loss in report.fit.losses], report.fit.seconds


def compare(
    base: str, records: Sequence[StepRecord], *, trl_batch: int, our_batch: int, only_last: bool
) -> dict[str, Any]:
    """Return examples per second of both, and how far apart their losses are."""
    runs = {
        "trl": run_trl(base, records, batch=trl_batch, only_last=only_last),
        "stepnav": run_ours(base, records, batch=our_batch),
        "stepnav, plain rows": run_ours(base, records, batch=our_batch, pack=False),
    }
    theirs = runs["trl"][0]
    rates = {name: len(records) / seconds for name, (_, seconds) in runs.items()}
    return {
        "examples": len(records),
        "examples_per_s": {name: round(rate, 2) for name, rate in rates.items()},
        "times": round(rates["stepnav"] / rates["trl"], 2),
        "losses": {
            name: [round(losses[0], 4), round(losses[-1], 4)] for name, (losses, _) in runs.items()
        },
        "largest_loss_difference": max(
            abs(ours - other) for ours, other in zip(runs["stepnav"][0], theirs, strict=True)
        ),
    }


def random_base(folder: Path, texts: Sequence[str]) -> str:
    """Save a small random Llama and a tokenizer trained on the texts."""
    tokenizer = train_tokenizer(texts, vocab_size=4096)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=448, intermediate_size=1216, num_hidden_layers=4,
        num_attention_heads=7, max_position_embeddings=2048, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="PRM800K lines")
    parser.add_argument("--model", help="a language model's folder")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    fit_module._StepTrainer._get_train_sampler = lambda self, dataset=None: SequentialSampler(
        self.train_dataset
    )
    records = read_labelled(options.data).records
    solutions = list(whole_solutions(records))[: options.rows]
    groups = list(alternatives(records))[: options.groups]
    with tempfile.TemporaryDirectory() as folder:
        texts = [f"{record.prompt}\n" + "\n".join(record.completions) for record in solutions]
        base = options.model or random_base(Path(folder), texts)
        rounds = [
            {
                "rows": compare(base, solutions, trl_batch=BATCH, our_batch=BATCH, only_last=False),
                "alternatives": compare(
                    base,
                    [record for group in groups for record in group],
                    trl_batch=GROUP,
                    our_batch=1,
                    only_last=True,
                ),
            }
            for _ in range(options.rounds)
        ]
    found = {
        name: {**rounds[0][name], "times": statistics.median(r[name]["times"] for r in rounds)}
        for name in rounds[0]
    }
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
