"""Scores labelled solutions in batches, to evaluate a reward model.

Searches use the engine in `rewards`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch

from stepnav.rewards.local.step_format import StepFormat

StepTexts = tuple[str, Sequence[str]]
"""(question, steps) of one solution."""


@torch.inference_mode()  # type: ignore[untyped-decorator]
def class_probs(
    model: Any,
    tokenizer: Any,
    solutions: Sequence[StepTexts],
    step_format: StepFormat,
    *,
    batch_rows: int = 64,
) -> list[list[list[float]]]:
    """Return the class probabilities of every step of every solution, in the model's class order.

    Args:
      model: a token classifier in evaluation mode.
      tokenizer: its tokenizer.
      solutions: what to score.
      step_format: how it was trained.
      batch_rows: solutions per batch.
    """
    rows = [step_format.encode(tokenizer, question, steps) for question, steps in solutions]
    result: list[list[list[float]]] = [[] for _ in rows]
    for numbers, ids in _batches([ids for ids, _ in rows], tokenizer.pad_token_id, batch_rows):
        probs = model(input_ids=ids.to(model.device)).logits.float().softmax(-1).cpu()
        for position, number in enumerate(numbers):
            result[number] = probs[position, rows[number][1]].tolist()
    return result


@torch.inference_mode()  # type: ignore[untyped-decorator]
def lowest_logprobs(
    model: Any,
    tokenizer: Any,
    solutions: Sequence[StepTexts],
    step_format: StepFormat,
    *,
    batch_rows: int = 64,
) -> list[list[float]]:
    """Return the lowest token log-probability of every step under a causal LM.

    This is the training-free baseline. The separator belongs to its step, so that a step that ends
    too early is seen. The last step has none when its text does not end in one; EOS stands in its
    place.
    """
    rows = [_with_eos(tokenizer, question, steps, step_format) for question, steps in solutions]
    result: list[list[float]] = [[] for _ in rows]
    for numbers, ids in _batches([ids for ids, _ in rows], tokenizer.pad_token_id, batch_rows):
        ids = ids.to(model.device)
        logprobs = model(input_ids=ids).logits[:, :-1].float().log_softmax(-1)
        taken = logprobs.gather(-1, ids[:, 1:, None])[..., 0].cpu()
        for position, number in enumerate(numbers):
            bounds = rows[number][1]
            result[number] = [
                float(taken[position, start:end].min()) for start, end in pairwise(bounds)
            ]
    return result


def _with_eos(
    tokenizer: Any, question: str, steps: Sequence[str], step_format: StepFormat
) -> tuple[list[int], list[int]]:
    """Return tokens, and the bounds of the steps among the predictions of tokens 1, 2, ..."""
    ids, ends = step_format.encode(tokenizer, question, steps)
    if steps and not steps[-1].endswith(step_format.separator):
        ids[-1] = tokenizer.eos_token_id
    return ids, [len(step_format.encode_prompt(tokenizer, question)) - 1, *ends]


def _batches(
    rows: Sequence[list[int]], pad_id: int, size: int
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Yield row numbers and right-padded tokens, rows of like length together."""
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    for start in range(0, len(order), size):
        numbers = order[start : start + size]
        width = max(len(rows[number]) for number in numbers)
        yield (
            numbers,
            torch.tensor(
                [rows[number] + [pad_id] * (width - len(rows[number])) for number in numbers]
            ),
        )
