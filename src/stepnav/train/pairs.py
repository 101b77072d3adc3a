"""Prompts with completions, for supervised fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.core.errors import DataError
from stepnav.files.rows import FileRow, every_row
from stepnav.policies.splitting import fill
from stepnav.train.solutions import CutCount, Mark, TokenSolution, Tree, grow_tree

if TYPE_CHECKING:
    import torch

FIELDS = (("prompt", "completion"), ("question", "answer"), ("problem", "solution"))
"""What the two texts may be called: any file of pairs, GSM8K's, MATH's."""

PROMPT_TEMPLATE = "{question}\n"


@dataclass(frozen=True, slots=True)
class Pair:
    """What is shown and what is to be written."""

    prompt: str
    completion: str


def read_pairs(path: Path) -> list[Pair]:
    """Return the pairs of a file.

    Raises:
      DataError: it cannot be read, is empty, or a row holds no pair.
      ConfigError: it is Parquet and pyarrow is missing.
    """
    return [_pair(row) for row in every_row(path)]


def _pair(row: FileRow) -> Pair:
    for prompt, completion in FIELDS:
        shown, written = row.fields.get(prompt), row.fields.get(completion)
        is_number = isinstance(written, (int, float)) and not isinstance(written, bool)
        if isinstance(shown, str) and (is_number or isinstance(written, str)):
            return Pair(shown, str(written))
    wanted = " or ".join(f"{prompt} and {completion}" for prompt, completion in FIELDS)
    raise DataError(f"{row.place} has no pair; it must be an object with {wanted}")


def encode_pairs(
    tokenizer: Any, pairs: Sequence[Pair], *, prompt_template: str, max_length: int
) -> tuple[list[list[Tree]], CutCount]:
    """Return pairs as trees whose marks are the tokens to predict, and what did not fit.

    The loss is that of the completion and its end; the prompt is masked, as in Alpaca (Taori et al.
    2023).

    Args:
      tokenizer: the model's.
      pairs: what is learnt.
      prompt_template: how the prompt is shown; holds "{question}".
      max_length: most tokens of both; a longer completion loses its end.

    Raises:
      DataError: nothing is left to learn from.
    """
    groups: list[list[Tree]] = []
    cut = CutCount()
    for pair in pairs:
        shown = tokenizer.encode(fill(prompt_template, pair.prompt), add_special_tokens=False)
        if tokenizer.bos_token_id is not None:
            shown.insert(0, tokenizer.bos_token_id)
        written = tokenizer.encode(pair.completion, add_special_tokens=False)
        written.append(tokenizer.eos_token_id)
        ids = (*shown, *written)[:max_length]
        cut.solutions += len(ids) < len(shown) + len(written)
        if len(ids) <= len(shown):
            cut.lost += 1
            continue
        chain = grow_tree([TokenSolution((ids,), ())])
        marks = tuple(
            Mark(place - 1, float(ids[place])) for place in range(max(1, len(shown)), len(ids))
        )
        groups.append([Tree(chain.ids, chain.positions, chain.ends, marks)])
    if not groups:
        raise DataError(f"no prompt leaves room within {max_length} tokens; raise --max-length")
    return groups, cut


def next_token_loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss [M] of each labelled token: logits [M, C], tokens [M]."""
    from torch.nn import functional

    return functional.cross_entropy(outputs.float(), labels.long(), reduction="none")
