"""Trains a small causal language model on (prompt, completion) pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from stepnav.zoo.training.batches import IGNORED, TokenExamples
from stepnav.zoo.training.loop import Loss, Position, Progress, Trainer
from stepnav.zoo.training.settings import TrainSettings


def encode_pairs(
    tokenizer: Any,
    pairs: Iterable[tuple[str, str]],
    *,
    learn_prompt: float = True,
    chunk: int = 2048,
) -> TokenExamples:
    """Tokenise (prompt, completion) pairs: BOS, prompt, completion, EOS.

    Args:
      tokenizer: a fast tokenizer with BOS and EOS tokens.
      pairs: texts; consumed once.
      learn_prompt: share of the pairs whose prompt is learned too; it is only read in the others.
      chunk: pairs tokenised at once.
    """
    return TokenExamples.from_rows(
        _encoded(tokenizer, pairs, learn_prompt=learn_prompt, chunk=chunk)
    )


def _encoded(
    tokenizer: Any, pairs: Iterable[tuple[str, str]], *, learn_prompt: float, chunk: int
) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    num_pairs = 0
    for group in _chunks(pairs, chunk):
        prompts, completions = (
            tokenizer(list(texts), add_special_tokens=False)["input_ids"]
            for texts in zip(*group, strict=True)
        )
        for prompt, completion in zip(prompts, completions, strict=True):
            head = [tokenizer.bos_token_id, *prompt]
            tail = [*completion, tokenizer.eos_token_id]
            masked = [IGNORED] * len(head)
            num_pairs += 1
            is_learned = int(num_pairs * learn_prompt) > int((num_pairs - 1) * learn_prompt)
            yield head + tail, (head if is_learned else masked) + tail


def _chunks(pairs: Iterable[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    group: list[tuple[str, str]] = []
    for pair in pairs:
        group.append(pair)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def lm_loss(
    model: torch.nn.Module,
    *,
    normaliser: float = 0.0,
    normaliser_weight: float = 0.0,
    first_id: int | None = None,
) -> Loss:
    """Return the next-token loss under `model`.

    Rows are padded on the right, so causal attention needs no mask. Rows of several examples
    (`TokenExamples.packed`) are told apart by `first_id`, the token that each begins with;
    attention then stays within an example.

    With a weight, the squared distance of the log-normaliser of the logits from `normaliser` is
    added (z-loss, Chowdhery et al. 2022, arXiv 2204.02311, section 5): a raw logit then tells the
    log-probability but for that constant.
    """

    def loss(ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        mask = None if first_id is None else _own_tokens(ids, first_id)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        flat = logits[:, :-1].reshape(-1, logits.shape[-1]).float()
        wanted = targets[:, 1:].reshape(-1)
        value = F.cross_entropy(flat, wanted, ignore_index=IGNORED)
        if normaliser_weight:
            is_learned = wanted != IGNORED
            distance = (flat.logsumexp(-1) - normaliser) * is_learned
            value = value + normaliser_weight * distance.square().sum() / is_learned.sum()
        return value

    return loss


def _own_tokens(ids: torch.Tensor, first_id: int) -> torch.Tensor:
    """Return what is added to attention scores, [B, 1, T, T]: 0 within an example, backwards."""
    number = (ids == first_id).cumsum(1)
    is_own = (number[:, :, None] == number[:, None, :]).tril()
    return torch.where(is_own, 0.0, -1e9)[:, None]


def mean_normaliser(model: Any, rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> float:
    """Return the mean log-normaliser of (tokens, targets) rows where the target counts."""
    found: list[torch.Tensor] = []
    with torch.inference_mode():
        for tokens, targets in rows:
            logits = model(input_ids=torch.tensor([list(tokens)], device=model.device)).logits[
                0, :-1
            ]
            found.append(logits.float().logsumexp(-1)[torch.tensor(list(targets))[1:] != IGNORED])
    return float(torch.cat(found).mean())


def train_lm(
    model: torch.nn.Module,
    examples: TokenExamples,
    *,
    pad_id: int,
    folder: Path,
    settings: TrainSettings,
    normaliser: float = 0.0,
    normaliser_weight: float = 0.0,
    first_id: int | None = None,
    progress: Progress | None = None,
    on_snapshot: Callable[[int], None] | None = None,
) -> Position:
    """Train a causal LM in place, continuing from the checkpoint in `folder` if there is one.

    Args:
      model: a `transformers` causal LM.
      examples: what `encode_pairs` made.
      pad_id: token that fills rows up.
      folder: for the checkpoint and `log.jsonl`.
      settings: how to train.
      normaliser, normaliser_weight, first_id: see `lm_loss`.
      progress: called with (tokens done, tokens in all, latest loss).
      on_snapshot: called at each of `settings.snapshot_tokens`.

    Returns:
      Where the run ended.
    """
    trainer = Trainer(
        model,
        lm_loss(
            model,
            normaliser=normaliser,
            normaliser_weight=normaliser_weight,
            first_id=first_id,
        ),
        lambda epoch: examples,
        pad_id=pad_id,
        folder=folder,
        settings=settings,
    )
    return trainer.run(progress=progress, on_snapshot=on_snapshot)
