"""The trained model's folder and the report in it, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepnav.core.errors import DataError, one_line
from stepnav.engine.checkpoint.weights import non_finite_weight
from stepnav.files.atomic import write_text
from stepnav.policies.local.prompt import PolicyFormat
from stepnav.rewards.local.step_format import StepFormat
from stepnav.train.card import CARD, model_card
from stepnav.train.failures import diverged
from stepnav.train.fit import FitResult
from stepnav.train.shards import is_sharded, whole_weights
from stepnav.train.solutions import CutCount, TokenSolution, Tree

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
      left_out: labelled solutions without a known outcome, where outcomes are learnt.
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
    left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        fields = asdict(self)
        fields["fit"].pop("is_main")
        return fields


def report_of(
    examples: int,
    groups: list[list[Tree]],
    solutions: Sequence[TokenSolution] | None,
    cut: CutCount,
    max_length: int,
    is_packed: bool,
    left_out: int,
    found: FitResult,
) -> TrainReport:
    """Return the report of a training.

    Args:
      examples, cut, max_length, is_packed, left_out: as in the report.
      groups: what was trained on.
      solutions: the same before they shared rows or beginnings; None if they share none.
      found: its steps and losses.
    """
    trees = [tree for group in groups for tree in group]
    tokens = sum(map(len, trees))
    plain = tokens if solutions is None else sum(solution.num_tokens for solution in solutions)
    labels = sum(len(tree.marks) for tree in trees)
    return TrainReport(
        examples, len(groups), plain, tokens, labels, cut, max_length, is_packed, found, left_out
    )


def save_trained(
    network: Any, tokenizer: Any, out: Path, format_: StepFormat | PolicyFormat, report: TrainReport
) -> None:
    """Save the model in its folder: the weights last, so that a folder with weights is whole.

    Raises:
      DataError: a weight is no number, or the folder cannot be written.
    """
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
        write_text(place / CARD, _card(network, format_, report))
        for path in sorted(place.iterdir(), key=lambda path: "safetensors" in path.name):
            path.replace(out / path.name)
        place.rmdir()
    except Exception as error:  # safetensors has kinds of its own
        raise DataError(
            f"cannot write {out} ({one_line(error)}); free some space, then go on with --resume"
        ) from error


def _card(network: Any, format_: StepFormat | PolicyFormat, report: TrainReport) -> str:
    figures: dict[str, object] = {
        "examples": report.examples,
        "labelled tokens": report.labels,
        "tokens read per epoch": report.tokens,
        "optimizer steps": report.fit.steps,
    }
    return model_card(
        base=str(getattr(network, "name_or_path", "")),
        is_policy=isinstance(format_, PolicyFormat),
        figures=figures,
        last_loss=report.fit.losses[-1][1] if report.fit.losses else None,
    )


def _lasting(report: TrainReport) -> dict[str, Any]:
    """Return what a killed and resumed training reports as well: all but its seconds."""
    fields = report.to_json()
    del fields["fit"]["seconds"]
    return fields
