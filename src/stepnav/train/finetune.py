"""The two stages of the paper, and an outcome model, from any checkpoint.

Source: Ma et al. 2023, sections 3 and 4. `finetune_policy` fits a causal language model on
solutions; `finetune_reward_model` fits a token classifier, or a value, on labelled steps, from the
first stage's checkpoint or from a raw base.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from stepnav.core.errors import ConfigError, DataError
from stepnav.engine.checkpoint.loading import context_length, without_progress_bar
from stepnav.labels.records import LabelKind, StepRecord
from stepnav.policies.local.prompt import PolicyFormat
from stepnav.rewards.local.step_format import StepFormat
from stepnav.train.collate import can_pack
from stepnav.train.fit import FitResult, FitSettings, fit, prepare, training_folder
from stepnav.train.heads import (
    Head,
    Neutral,
    checked_class_weights,
    default_neutral,
    head_loss,
    outcomes,
    step_format,
    targets,
)
from stepnav.train.pairs import Pair, encode_pairs, next_token_loss
from stepnav.train.saving import TrainReport, report_of, save_trained
from stepnav.train.solutions import Tree, encode_solutions, make_groups
from stepnav.train.starting_model import load_network, load_training_tokenizer, with_adapters
from stepnav.train.step_trainer import Loss
from stepnav.train.watcher import FitProgress

__all__ = ["TrainReport", "finetune_policy", "finetune_reward_model"]


def finetune_policy(
    model: str,
    pairs: Sequence[Pair],
    out: Path,
    *,
    prompt_template: str = "{question}\n",
    max_length: int = 1024,
    pack: bool = True,
    lora_rank: int = 0,
    settings: FitSettings,
    resume: bool = False,
    progress: FitProgress | None = None,
) -> TrainReport:
    """Fit a causal language model on prompts with completions, and save it in `out`.

    Args:
      model: folder or hub name of the model to begin with.
      pairs: what it learns.
      out: folder of the new model.
      prompt_template: how a prompt is shown; holds "{question}".
      max_length: most tokens of a pair.
      pack: whether several pairs may share a row.
      lora_rank: rank of low-rank adapters that are trained instead of all weights; 0 for all
        weights.
      settings: how to train.
      resume: whether to go on with what `out` holds.
      progress: told of each step.

    Raises:
      ConfigError: the model, `out` or a setting cannot be used.
      DataError: nothing to learn from, or `out` cannot be written.
    """
    tokenizer = load_training_tokenizer(model)
    network = load_network(model, None)
    max_length = min(max_length, context_length(network) or max_length)
    torch.manual_seed(settings.seed)  # of new adapters
    groups, cut = encode_pairs(
        tokenizer, pairs, prompt_template=prompt_template, max_length=max_length
    )
    is_packed = pack and can_pack(network, max_length)
    claim = {
        "stage": "sft", "model": model, "prompt_template": prompt_template, "pairs": len(pairs),
        "max_length": max_length, "lora_rank": lora_rank, **_claimed(settings),
    }  # fmt: skip
    return _train(
        network, groups, next_token_loss, out, tokenizer, PolicyFormat(prompt_template),
        partial(report_of, len(groups), groups, None, cut, max_length, is_packed, 0),
        is_packed=is_packed, lora_rank=lora_rank, settings=settings, claim=claim, resume=resume,
        progress=progress,
    )  # fmt: skip


def finetune_reward_model(
    model: str,
    records: Sequence[StepRecord],
    kind: LabelKind,
    out: Path,
    *,
    head: Head = "three",
    neutral: Neutral | None = None,
    class_weights: Sequence[float] | None = None,
    separator: str = "\n",
    prompt_template: str = "{question}\n",
    only_outcomes: bool = False,
    max_length: int = 1024,
    max_tree_tokens: int = 2048,
    pack: bool = True,
    lora_rank: int = 0,
    settings: FitSettings,
    resume: bool = False,
    progress: FitProgress | None = None,
) -> TrainReport:
    """Fit a reward model on labelled steps, and save it in `out`.

    Args:
      model: folder or hub name of the model to begin with, a language model or a reward model.
      records: labelled solutions, those of one problem after each other.
      kind: what their labels are.
      out: folder of the new model.
      head: what it gives at the end of a step.
      neutral: what neutral labels count as; None takes the head's default.
      class_weights: weight of each class's losses, in the order of the head's classes.
      separator: text after each step.
      prompt_template: how the question is shown; holds "{question}".
      only_outcomes: whether to learn the outcome of whole solutions at their last step: an outcome
        reward model.
      max_length: most tokens of a solution; steps beyond it are counted.
      max_tree_tokens: most tokens of a tree.
      pack: whether solutions that begin alike share those tokens.
      lora_rank, settings, resume, progress: as in `finetune_policy`.

    Raises:
      ConfigError: the model, `out`, a setting or the labels do not fit together.
      DataError: nothing to learn from, or `out` cannot be written.
    """
    tokenizer = load_training_tokenizer(model)
    has_bos = tokenizer.bos_token_id is not None
    format_ = step_format(
        head, separator=separator, prompt_template=prompt_template, add_bos=has_bos
    )
    format_.separator_ids(tokenizer)
    records, left_out = _known_outcomes(records) if only_outcomes else (records, 0)
    neutral = neutral or default_neutral(head)
    wanted = targets(records, kind, head, neutral)
    torch.manual_seed(settings.seed)  # of a new head
    network = load_network(model, format_)
    max_length = min(max_length, context_length(network) or max_length)
    solutions, cut = encode_solutions(tokenizer, records, wanted, format_, max_length=max_length)
    weights = checked_class_weights(class_weights, format_, solutions)
    is_packed = pack and can_pack(network, max(max_length, max_tree_tokens))
    groups = make_groups(solutions, max_tree_tokens, is_packed)
    claim = {
        "stage": "orm" if only_outcomes else "prm", "model": model, "head": head,
        "neutral": neutral, "class_weights": weights, "separator": separator,
        "prompt_template": prompt_template, "solutions": len(records), "max_length": max_length,
        "max_tree_tokens": max_tree_tokens, "lora_rank": lora_rank, **_claimed(settings),
    }  # fmt: skip

    return _train(
        network, groups, head_loss(head, weights), out, tokenizer, format_,
        partial(report_of, len(solutions), groups, solutions, cut, max_length, is_packed, left_out),
        is_packed=is_packed, lora_rank=lora_rank, settings=settings, claim=claim, resume=resume,
        progress=progress,
    )  # fmt: skip


def _known_outcomes(records: Sequence[StepRecord]) -> tuple[Sequence[StepRecord], int]:
    found, left_out = outcomes(records)
    if not found:
        raise DataError(
            f"no outcome to learn: {left_out} labelled solutions are only begun (is_finished is "
            "false) or have no label at the end, and there are no others"
        )
    return found, left_out


def _claimed(settings: FitSettings) -> dict[str, Any]:
    """Return the settings that the result or its checkpoints depend on."""
    free = ("batch_size", "accumulate", "save_every", "report_to", "cpu", "gradient_checkpointing")
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return {
        **{name: value for name, value in asdict(settings).items() if name not in free},
        "whole_batch": settings.batch_size * settings.accumulate * processes,
    }


def _train(
    network: Any,
    groups: list[list[Tree]],
    loss: Loss,
    out: Path,
    tokenizer: Any,
    format_: StepFormat | PolicyFormat,
    report: Callable[[FitResult], TrainReport],
    *,
    is_packed: bool,
    lora_rank: int,
    settings: FitSettings,
    claim: dict[str, Any],
    resume: bool,
    progress: FitProgress | None,
) -> TrainReport:
    """Train a model and save it, without adapters."""
    if lora_rank and settings.shard:
        raise ConfigError("--shard splits all weights and --lora-rank trains few; use one of them")
    if lora_rank:
        network = with_adapters(network, lora_rank)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    arguments = prepare(network, out, settings)
    claim = {**claim, "data": _digest(groups)}
    with training_folder(out, claim, resume=resume), without_progress_bar():
        found = fit(
            network, groups, loss, out=out, pad_id=pad_id or 0, is_packed=is_packed,
            settings=settings, arguments=arguments, progress=progress,
        )  # fmt: skip
        whole = network.merge_and_unload() if lora_rank else network
        save_trained(whole, tokenizer, out, format_, report(found))
    return report(found)


def _digest(groups: Sequence[Sequence[Tree]]) -> str:
    """Return a digest of the data as tokens: training goes on with the same data only."""
    digest = hashlib.blake2b(digest_size=8)
    for group in groups:
        for tree in group:
            digest.update(repr((tree.ids, tree.marks)).encode())
    return digest.hexdigest()
