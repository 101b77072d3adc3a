"""Whether a model gives in the engine what it gives by itself, tried on a few tokens.

The engine packs rows and attends by its own rules, so a model whose attention needs more than
queries, keys, values and a window would be scored wrongly in silence.
"""

from __future__ import annotations

import logging
from typing import Any

import torch

from stepnav.core.errors import ConfigError
from stepnav.engine.checkpoint.loading import context_length

logger = logging.getLogger("stepnav")

TOKENS = (1, 2, 3, 1, 3, 2, 2, 4, 3, 3, 1, 4)
"""What is read; every vocabulary has these."""
WANTED = (0, 2, 4, 5, 6, 7, 8, 9, 10, 11)
"""The positions whose outputs are compared: not all, since a model may not heed what is asked."""
FIRST_PASS = 5
"""So many are read first, the rest with what is cached of them."""

TOLERANCE = 1e-3
HALF_TOLERANCE = 0.1
"""How far apart outputs may be, in parts of their usual size: float32, and half precision."""


def plain_outputs(model: Any) -> Any:
    """Return the outputs [T, C] of a model for `TOKENS`, read in one plain pass."""
    ids = torch.tensor([TOKENS], device=model.device)
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False).logits[0]


def keeps_logits(model: Any) -> bool:
    """Return whether a model gives the outputs of single positions if it is asked for them.

    Some take the wish and give all.
    """
    ids = torch.tensor([TOKENS], device=model.device)
    keep = torch.tensor(WANTED[:3], device=model.device)
    try:
        with torch.inference_mode():
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits
    except (TypeError, RuntimeError):  # it has no such argument, or takes a count alone
        return False
    return len(logits[0]) == len(keep)


def sees_later_tokens(model: Any) -> bool:
    """Return whether a token's state depends on tokens after it, as in encoders."""
    rows = torch.tensor([TOKENS[:3], (*TOKENS[:2], 4)], device=model.device)
    was_training = model.training
    with torch.no_grad():  # tensors of inference mode could not be trained on
        states = model.eval().base_model(input_ids=rows)[0][:, :2]
    model.train(was_training)
    return not are_alike(model, states[0], states[1])


def are_alike(model: Any, found: Any, expected: Any) -> bool:
    """Return whether a model's outputs [T, C] differ by rounding only.

    Differences are compared by their median over the C outputs, since a few may be huge.
    In half precision a token may be given to another expert, so there most tokens must be alike.
    What counts is what the model computes in: some give float32 whatever their weights are.
    """
    by_token = (found.float() - expected.float()).abs().median(dim=-1).values
    usual = expected.float().abs().median()
    computed_in = {expected.dtype, *(weight.dtype for weight in model.parameters())}
    if computed_in.isdisjoint((torch.bfloat16, torch.float16)):
        return bool(by_token.max() <= TOLERANCE * usual)
    return bool(by_token.median() <= HALF_TOLERANCE * usual)


def check_windows(model: Any, in_masks: set[int | None], in_attention: set[int | None]) -> None:
    """Raise a `ConfigError` if a sliding window stands in a mask only, which the engine never sees.

    Windows are seldom shorter than `TOKENS`, so outputs would not tell.

    Args:
      model: that was run.
      in_masks: windows that it asked masks for, in tokens; None and 0 are none.
      in_attention: windows that its attention was called with.
    """
    unseen = [size for size in in_masks - in_attention if size is not None and size > 0]
    if not unseen:
        return
    context = context_length(model)
    if context is None or min(unseen) < context:
        raise ConfigError(
            f"{type(model).__name__} keeps a sliding window of {min(unseen)} tokens in its mask "
            "alone, which the engine does not see; use another model"
        )


def tell_experts(model: Any) -> None:
    """Tell the user if a model has experts, where results of others are the same in any batch.

    As many of a pass's tokens go to an expert as choose it, so its products are of any number of
    rows, and kernels choose their order of summation by that.
    """
    for name, module in model.named_modules():
        if name.endswith("experts") or "Experts" in type(module).__name__:
            logger.warning(
                "%s is a mixture of experts: its results differ in their last bits by what shares "
                "a batch, so that the same seed may give another tree",
                type(model).__name__,
            )
            return


def check_alike(model: Any, found: Any, expected: Any) -> None:
    """Raise a `ConfigError` if the engine's outputs are others than the model's own."""
    if expected.isfinite().all() and not are_alike(model, found, expected):
        raise ConfigError(
            f"{type(model).__name__} gives other outputs in the engine than by itself: its "
            "attention is of a kind that the engine does not know, or it is an encoder; use "
            "another model"
        )
