"""What a reward model's head learns from a label, and its loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from stepnav.core.errors import ConfigError, DataError
from stepnav.labels.prm800k import ANSWER_MARK
from stepnav.labels.records import LabelKind, StepRecord
from stepnav.rewards.local.step_format import StepFormat

if TYPE_CHECKING:
    import torch

Head = Literal["three", "two", "value"]
"""Three classes (the paper), two classes, or one value in [0, 1]."""

Neutral = Literal["own", "positive", "negative", "masked"]
"""What a neutral label counts as; "own" is its own class, and 0.5 for a value."""

CLASSES: dict[Head, tuple[int, ...]] = {"three": (-1, 0, 1), "two": (-1, 1), "value": ()}
"""The rating that each output stands for; a value's only output stands for none."""


def default_neutral(head: Head) -> Neutral:
    """Return what a head makes of neutral labels: two classes take them as right.

    Source: Lightman et al. 2023.
    """
    return "positive" if head == "two" else "own"


def targets(
    records: Sequence[StepRecord], kind: LabelKind, head: Head, neutral: Neutral
) -> list[list[float | None]]:
    """Return what the head is to learn at each step: a class number or a value; None for nothing.

    Args:
      records: labelled solutions.
      kind: what their labels are.
      head: what the model gives.
      neutral: what neutral labels count as.

    Raises:
      ConfigError: such labels cannot teach such a head.
      DataError: a label is none of its kind.
    """
    if kind == "value" and head != "value":
        raise ConfigError("the labels are values in [0, 1]; train them with --head value")
    if head == "two" and neutral == "own":
        raise ConfigError(
            "two classes have none for neutral steps; use --neutral positive, negative or masked"
        )
    return [
        [_target(label, record, kind, head, neutral) for label in record.labels]
        for record in records
    ]


def _target(
    label: float | None, record: StepRecord, kind: LabelKind, head: Head, neutral: Neutral
) -> float | None:
    if label is None:
        return None
    if kind == "value":
        if not 0 <= label <= 1:
            raise DataError(f"{record.origin or 'a record'}: the value {label} is not in [0, 1]")
        return float(label)
    if label not in (-1, 0, 1):
        raise DataError(f"{record.origin or 'a record'}: the label {label} is not -1, 0 or 1")
    if label == 0 and neutral != "own":
        if neutral == "masked":
            return None
        label = 1 if neutral == "positive" else -1
    if head == "value":
        return (label + 1) / 2
    return float(CLASSES[head].index(int(label)))


def outcomes(records: Sequence[StepRecord]) -> list[StepRecord]:
    """Return solutions with one label, at the last step: right unless a step is wrong.

    For outcome reward models. Where labels are values, the last step's own is the outcome (a share
    of completions on the way is none), and a solution without it is left out. Of several that begin
    alike, the longest stand for all. Where solutions end in an answer that is marked as PRM800K's
    are, those without one are begun solutions and left out.
    """
    whole = _longest(records)
    if any(ANSWER_MARK in record.completions[-1] for record, _ in whole):
        whole = [item for item in whole if ANSWER_MARK in item[0].completions[-1]]
    return [
        StepRecord(
            record.prompt,
            record.completions,
            (*(None,) * (len(record.labels) - 1), label),
            origin=record.origin,
        )
        for record, label in whole
    ]


def _longest(records: Sequence[StepRecord]) -> list[tuple[StepRecord, float]]:
    """Return the records that are no prefix of another, with the lowest rating on their way."""
    lowest: dict[tuple[str, tuple[str, ...]], float] = {}
    for record in records:
        for number, label in enumerate(record.labels, 1):
            if label is not None:
                key = (record.prompt, record.completions[:number])
                lowest[key] = min(label, lowest.get(key, label))
    inner = {
        (record.prompt, record.completions[:number])
        for record in records
        for number in range(1, len(record.completions))
    }
    found: dict[tuple[str, tuple[str, ...]], tuple[StepRecord, float]] = {}
    for record in records:
        key = (record.prompt, record.completions)
        if not record.completions or key in inner or key in found:
            continue
        are_values = any(isinstance(label, float) for label in record.labels)
        first = len(record.completions) if are_values else 1
        labels = [
            lowest[place]
            for number in range(first, len(record.completions) + 1)
            if (place := (record.prompt, record.completions[:number])) in lowest
        ]
        if labels:
            found[key] = (record, min(labels))
    return list(found.values())


def step_loss(
    outputs: torch.Tensor,
    labels: torch.Tensor,
    *,
    head: Head,
    class_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the losses of all labelled steps, [M].

    Cross-entropy for classes, each loss times its class's weight; binary cross-entropy with soft
    targets for a value.
    Shapes: M labelled steps, C outputs.

    Args:
      outputs: the model's, [M, C].
      labels: class numbers or values, [M].
      head: what the outputs are.
      class_weights: [C]; None for equal ones.
    """
    from torch.nn import functional

    outputs = outputs.float()
    if head == "value":
        return functional.binary_cross_entropy_with_logits(
            outputs[:, 0], labels.float(), reduction="none"
        )
    return functional.cross_entropy(outputs, labels.long(), weight=class_weights, reduction="none")


def step_format(head: Head, *, separator: str, prompt_template: str, add_bos: bool) -> StepFormat:
    """Return the format that is saved beside a model with this head."""
    return StepFormat(
        separator=separator,
        prompt_template=prompt_template,
        labels=CLASSES[head],
        add_bos=add_bos,
    )


def head_loss(
    head: Head, class_weights: Sequence[float] | None
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the loss of a head's outputs (`step_loss`), its classes weighed if weights say so."""

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        tensor = None if class_weights is None else outputs.new_tensor(class_weights)
        return step_loss(outputs, labels, head=head, class_weights=tensor)

    return loss


def checked_class_weights(
    weights: Sequence[float] | None, format_: StepFormat
) -> list[float] | None:
    """Return the weights of a head's classes.

    Raises:
      ConfigError: there is not one for each class, or one is below 0.
    """
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
