"""What a reward model's head learns from a label, and its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

from stepnav.core.errors import ConfigError, DataError
from stepnav.labels.records import LabelKind, StepRecord
from stepnav.rewards.local.step_format import StepFormat
from stepnav.train.solutions import TokenSolution

if TYPE_CHECKING:
    import torch

    from stepnav.train.step_trainer import Loss

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


def outcomes(records: Sequence[StepRecord]) -> tuple[list[StepRecord], int]:
    """Return solutions with one label, at the last step, and how many have no known outcome.

    Right is what has no wrong step and a label at its last one (of those with text).

    For outcome reward models. Where a record says whether it is right (`StepRecord.is_right`), that
    is the outcome. Where labels are values, the last step's own is (a share of completions on the
    way is none), and a solution without it has no known outcome. Neither have solutions that are
    said to be only begun (`StepRecord.is_finished`). Of several that begin alike, the longest stand
    for all. A weight is that of the label that decides: the last of the lowest ones.
    """
    lowest = _lowest(records)
    whole = [record for record in records if record.completions and record.is_finished is not False]
    longest = _longest(whole)
    found: list[StepRecord] = []
    for record in longest:
        if (outcome := _outcome(record, lowest)) is not None:
            label, weight = outcome
            masked = (None,) * (len(record.labels) - 1)
            weights = None if weight is None else (*masked, weight)
            found.append(replace(record, labels=(*masked, label), wrong_from=None, weights=weights))
    return found, len(records) - len(whole) + len(longest) - len(found)


_Prefix = tuple[str, tuple[str, ...]]
"""A prompt and the steps' texts."""

_Weighted = tuple[float, float | None]
"""A label and its weight."""


def _lowest(records: Sequence[StepRecord]) -> dict[_Prefix, _Weighted]:
    """Return the lowest label that any record has at the end of a prefix."""
    lowest: dict[_Prefix, _Weighted] = {}
    for record in records:
        weights = record.weights or (None,) * len(record.labels)
        for number, (label, weight) in enumerate(zip(record.labels, weights), 1):
            key = (record.prompt, record.completions[:number])
            if label is not None and (key not in lowest or label < lowest[key][0]):
                lowest[key] = (label, weight)
    return lowest


def _longest(whole: Sequence[StepRecord]) -> list[StepRecord]:
    """Return the records that are no prefix of another, each text once."""
    inner = {
        (record.prompt, record.completions[:number])
        for record in whole
        for number in range(1, len(record.completions))
    }
    found: dict[_Prefix, StepRecord] = {}
    for record in whole:
        key = (record.prompt, record.completions)
        if key not in inner:
            found.setdefault(key, record)
    return list(found.values())


def _outcome(record: StepRecord, lowest: Mapping[_Prefix, _Weighted]) -> _Weighted | None:
    """Return a whole solution's label with its weight; None if it is not known."""
    are_values = any(isinstance(label, float) for label in record.labels)
    first = len(record.completions) if are_values and record.is_right is None else 1
    labels = [
        lowest[place]
        for number in range(first, len(record.completions) + 1)
        if (place := (record.prompt, record.completions[:number])) in lowest
    ]
    least = min(reversed(labels), key=itemgetter(0), default=None)
    if record.is_right is None:
        has_end = (record.prompt, _without_blank_end(record.completions)) in lowest
        return least if has_end or (least and least[0] < 0) else None
    deciding = labels[-1] if record.is_right and labels else least
    weight = None if deciding is None else deciding[1]
    if are_values:
        return float(record.is_right), weight
    return (1 if record.is_right else -1), weight


def _without_blank_end(steps: tuple[str, ...]) -> tuple[str, ...]:
    """Return steps up to the last one with text; blank ones have no labels."""
    last = max((number for number, text in enumerate(steps, 1) if text.strip()), default=0)
    return steps[:last]


def step_format(head: Head, *, separator: str, prompt_template: str, add_bos: bool) -> StepFormat:
    """Return the format that is saved beside a model with this head."""
    return StepFormat(
        separator=separator,
        prompt_template=prompt_template,
        labels=CLASSES[head],
        add_bos=add_bos,
    )


def head_loss(head: Head, class_weights: Sequence[float] | None = None) -> Loss:
    """Return what gives the losses of all labelled steps, [M].

    Cross-entropy for classes, each loss times its class's weight; binary cross-entropy with soft
    targets for a value.
    Shapes: M labelled steps, C outputs: of outputs [M, C] and labels, class numbers or values, [M].

    Args:
      head: what the outputs are.
      class_weights: [C]; None for equal ones.
    """
    from torch.nn import functional

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        outputs = outputs.float()
        if head == "value":
            return functional.binary_cross_entropy_with_logits(
                outputs[:, 0], labels.float(), reduction="none"
            )
        weight = None if class_weights is None else outputs.new_tensor(class_weights)
        return functional.cross_entropy(outputs, labels.long(), weight=weight, reduction="none")

    return loss


def checked_class_weights(
    weights: Sequence[float] | None, format_: StepFormat, solutions: Sequence[TokenSolution]
) -> list[float] | None:
    """Return the weights of a head's classes.

    Raises:
      ConfigError: there is not one for each class, or one is below 0, or no label counts.
    """
    weights = None if weights is None else _one_for_each_class(weights, format_)
    labels = (label for solution in solutions for label in solution.labels if label is not None)
    if not any(n.weight and (weights is None or weights[int(n.target)]) for n in labels):
        raise ConfigError(
            "all labels weigh 0, so that nothing would be learnt; give a class that occurs a "
            "weight above 0 (--class-weights), or the rows of the data (weights)"
        )
    return weights


def _one_for_each_class(weights: Sequence[float], format_: StepFormat) -> list[float]:
    if not format_.labels:
        raise ConfigError("a value has no classes to weigh; leave --class-weights out")
    if len(weights) != len(format_.labels) or not all(0 <= w < math.inf for w in weights):
        raise ConfigError(
            f"--class-weights needs {len(format_.labels)} numbers of at least 0, one for each of "
            f"{', '.join(map(str, format_.labels))} (got {', '.join(map(str, weights))})"
        )
    return list(weights)
