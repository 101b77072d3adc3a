"""The two stages of the paper, and an outcome model, from any checkpoint.

Source: Ma et al. 2023, sections 3 and 4. `finetune_policy` fits a causal language model on
solutions; `finetune_reward_model` fits a token classifier, or a value, on labelled steps, from the
first stage's checkpoint or from a raw base.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from stepnav.core.errors import ConfigError, DataError, one_line
from stepnav.engine.loading import (
    HEADS,
    context_length,
    load_model,
    load_tokenizer,
    load_trainable_classifier,
    without_progress_bar,
)
from stepnav.engine.self_check import sees_later_tokens
from stepnav.engine.weights import non_finite_weight
from stepnav.files.atomic import write_text
from stepnav.labels.records import LabelKind, StepRecord
from stepnav.policies.local.prompt import PolicyFormat
from stepnav.rewards.local.step_format import StepFormat
from stepnav.train.collate import can_pack
from stepnav.train.fit import (
    FitProgress,
    FitResult,
    FitSettings,
    Loss,
    diverged,
    fit,
    prepare,
    training_folder,
)
from stepnav.train.heads import Head, Neutral, outcomes, step_format, step_loss, targets
from stepnav.train.pairs import Pair, encode_pairs
from stepnav.train.shards import is_sharded, whole_weights
from stepnav.train.solutions import (
    CutCount,
    TokenSolution,
    Tree,
    encode_solutions,
    group_solutions,
    grow_tree,
)

REPORT = "training_report.json"


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What was trained on what; stands beside the weights as `training_report.json`.

    Attributes:
      examples: solutions or pairs.
      groups: trees or rows that they make.
      plain_tokens: tokens of the examples, each on its own.
      tokens: tokens that are read per epoch.
      labels: labelled tokens.
      cut: what the length limit left out.
      max_length: that limit: what was asked for, or the model's context if that is shorter.
      is_packed: whether trees were used.
      fit: steps and losses.
    """

    examples: int
    groups: int
    plain_tokens: int
    tokens: int
    labels: int
    cut: CutCount
    max_length: int
    is_packed: bool
    fit: FitResult

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        fields = asdict(self)
        fields["fit"].pop("is_main")
        return fields


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
    tokenizer = _load_tokenizer(model)
    network = _load(model, None)
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
        network, groups, _next_token_loss, out, tokenizer, PolicyFormat(prompt_template),
        partial(_report, len(groups), groups, None, cut, max_length, is_packed),
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
    neutral: Neutral = "own",
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
      neutral: what neutral labels count as.
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
    tokenizer = _load_tokenizer(model)
    has_bos = tokenizer.bos_token_id is not None
    format_ = step_format(
        head, separator=separator, prompt_template=prompt_template, add_bos=has_bos
    )
    format_.separator_ids(tokenizer)
    if only_outcomes:
        records = outcomes(records)
    wanted = targets(records, kind, head, neutral)
    torch.manual_seed(settings.seed)  # of a new head
    network = _load(model, format_)
    max_length = min(max_length, context_length(network) or max_length)
    solutions, cut = encode_solutions(tokenizer, records, wanted, format_, max_length=max_length)
    weights = _class_weights(class_weights, format_)
    is_packed = pack and can_pack(network, max(max_length, max_tree_tokens))
    groups = _groups(solutions, max_tree_tokens, is_packed)
    claim = {
        "stage": "orm" if only_outcomes else "prm",
        "model": model, "head": head, "neutral": neutral,
        "class_weights": None if weights is None else list(weights), "separator": separator,
        "prompt_template": prompt_template, "solutions": len(records), "max_length": max_length,
        "max_tree_tokens": max_tree_tokens, "lora_rank": lora_rank, **_claimed(settings),
    }  # fmt: skip

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        tensor = None if weights is None else outputs.new_tensor(weights)
        return step_loss(outputs, labels, head=head, class_weights=tensor)

    return _train(
        network, groups, loss, out, tokenizer, format_,
        partial(_report, len(solutions), groups, solutions, cut, max_length, is_packed),
        is_packed=is_packed, lora_rank=lora_rank, settings=settings, claim=claim, resume=resume,
        progress=progress,
    )  # fmt: skip


def _groups(
    solutions: Sequence[TokenSolution], max_tree_tokens: int, is_packed: bool
) -> list[list[Tree]]:
    """Return what stays in one batch: a tree, or the same solutions one by one."""
    groups = group_solutions(solutions, max_tokens=max_tree_tokens)
    if is_packed:
        return [[grow_tree(group)] for group in groups]
    return [[grow_tree([solution]) for solution in group] for group in groups]


def _next_token_loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs.float(), labels.long(), reduction="none")


def _class_weights(weights: Sequence[float] | None, format_: StepFormat) -> list[float] | None:
    if weights is None:
        return None
    if not format_.labels:
        raise ConfigError("a value has no classes to weigh; leave --class-weights out")
    if len(weights) != len(format_.labels) or not all(0 <= w < math.inf for w in weights):
        raise ConfigError(
            f"--class-weights needs {len(format_.labels)} numbers of at least 0, one for each of "
            f"{', '.join(map(str, format_.labels))} (got {', '.join(map(str, weights))})"
        )
    return list(weights)


def _claimed(settings: FitSettings) -> dict[str, Any]:
    """Return the settings that the result depends on, or its checkpoints."""
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
        network = _with_adapters(network, lora_rank)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    arguments = prepare(network, out, settings)
    claim = {**claim, "data": _digest(groups)}
    with training_folder(out, claim, resume=resume), without_progress_bar():
        found = fit(
            network, groups, loss, out=out, pad_id=pad_id or 0, is_packed=is_packed,
            settings=settings, arguments=arguments, progress=progress,
        )  # fmt: skip
        whole = network.merge_and_unload() if lora_rank else network
        _save(whole, tokenizer, out, format_, report(found))
    return report(found)


def _digest(groups: Sequence[Sequence[Tree]]) -> str:
    """Return what tells one data set, as tokens, from others."""
    digest = hashlib.blake2b(digest_size=8)
    for group in groups:
        for tree in group:
            digest.update(repr((tree.ids, tree.marks)).encode())
    return digest.hexdigest()


def _with_adapters(network: Any, rank: int) -> Any:
    """Return the model with low-rank adapters on all linear layers; a head is trained whole.

    Source: Hu et al. 2021.
    """
    try:
        import peft
    except ImportError:
        raise ConfigError("--lora-rank needs peft: pip install 'stepnav[train]'") from None
    head = next((name for name in HEADS if hasattr(network, name)), None)
    return peft.get_peft_model(
        network,
        peft.LoraConfig(
            task_type="TOKEN_CLS" if head else "CAUSAL_LM",
            r=rank,
            lora_alpha=2 * rank,
            lora_dropout=0.0,
            target_modules="all-linear",
            fan_in_fan_out=any(type(item).__name__ == "Conv1D" for item in network.modules()),
            modules_to_save=[head] if head else None,
        ),
    )


def _load_tokenizer(model: str) -> Any:
    tokenizer = load_tokenizer(model)
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"the tokenizer of {model} has no end-of-sequence token; add one")
    return tokenizer


def _load(model: str, format_: StepFormat | None) -> Any:
    """Return a float32 model to train; a classifier gets a new head unless it has a fitting one."""
    if format_ is None:
        network = load_model(model, "causal", device="cpu", dtype="float32")
    else:
        network = load_trainable_classifier(model, num_labels=format_.num_outputs)
        names = [str(label) for label in format_.labels] or ["value"]
        network.config.id2label = dict(enumerate(names))
        network.config.label2id = {name: number for number, name in enumerate(names)}
    if sees_later_tokens(network):
        raise ConfigError(
            f"{model} is an encoder ({type(network).__name__}): its tokens see later ones, so it "
            "would read what it is to rate or to write; begin with a decoder"
        )
    return network.train()


def _save(
    network: Any, tokenizer: Any, out: Path, format_: StepFormat | PolicyFormat, report: TrainReport
) -> None:
    """Save the model in its folder: the weights last, so that a folder with weights is whole."""
    if found := non_finite_weight(network):
        raise diverged(found, report.fit.steps)
    weights = whole_weights(network) if is_sharded(network) else None
    if not report.fit.is_main:
        return
    place = out / "model.partial"
    try:
        shutil.rmtree(place, ignore_errors=True)
        network.save_pretrained(place, state_dict=weights)
        tokenizer.save_pretrained(place)
        format_.save(place)
        write_text(place / REPORT, json.dumps(_lasting(report), indent=1) + "\n")
        for path in sorted(place.iterdir(), key=lambda path: "safetensors" in path.name):
            path.replace(out / path.name)
        place.rmdir()
    except Exception as error:  # safetensors has kinds of its own
        raise DataError(
            f"cannot write {out} ({one_line(error)}); free some space, then go on with --resume"
        ) from error


def _lasting(report: TrainReport) -> dict[str, Any]:
    """Return what a killed and resumed training reports as well: all but its seconds."""
    fields = report.to_json()
    del fields["fit"]["seconds"]
    return fields


def _report(
    examples: int,
    groups: list[list[Tree]],
    solutions: Sequence[TokenSolution] | None,
    cut: CutCount,
    max_length: int,
    is_packed: bool,
    found: FitResult,
) -> TrainReport:
    trees = [tree for group in groups for tree in group]
    tokens = sum(map(len, trees))
    plain = tokens if solutions is None else sum(solution.num_tokens for solution in solutions)
    labels = sum(len(tree.marks) for tree in trees)
    return TrainReport(
        examples, len(groups), plain, tokens, labels, cut, max_length, is_packed, found
    )
