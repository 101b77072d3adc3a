"""The optimisers: Muon for hidden matrices, AdamW for the rest.

Muon: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from stepnav.zoo.training.settings import TrainSettings


def make_optimizers(
    model: torch.nn.Module,
    settings: TrainSettings,
    *,
    slow: Callable[[str], bool] = lambda name: False,
) -> list[torch.optim.Optimizer]:
    """Return Muon for hidden matrices and AdamW for embeddings, heads, norms and biases.

    Args:
      model: what to train; parameters without gradient are left out.
      settings: rates.
      slow: tells by name which parameters are trained at `settings.slow_factor` times the rate.
    """
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_hidden = (
                parameter.ndim == 2 and ".layers." in f".{name}" and settings.muon_rate is not None
            )
            groups.setdefault((is_hidden, slow(name)), []).append(parameter)

    def rated(is_hidden: bool, rate: float) -> list[dict[str, Any]]:
        factors = {False: 1.0, True: settings.slow_factor}
        return [
            {"params": groups[is_hidden, is_slow], "lr": rate * factor}
            for is_slow, factor in factors.items()
            if (is_hidden, is_slow) in groups
        ]

    optimizers: list[torch.optim.Optimizer] = []
    if others := rated(False, settings.adamw_rate):
        optimizers.append(torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0))
    if matrices := rated(True, settings.muon_rate or 0.0):
        optimizers.append(torch.optim.Muon(matrices, weight_decay=settings.weight_decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers
