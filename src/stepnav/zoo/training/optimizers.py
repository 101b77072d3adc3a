"""The optimisers: Muon for hidden matrices, AdamW for the rest.

Muon: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/.
"""

from __future__ import annotations

import torch

from stepnav.zoo.training.settings import TrainSettings


def make_optimizers(model: torch.nn.Module, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """Return Muon for hidden matrices and AdamW for embeddings, heads, norms and biases.

    Args:
      model: what to train; parameters without gradient are left out.
      settings: rates.
    """
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_hidden = parameter.ndim == 2 and ".layers." in f".{name}"
            (matrices if is_hidden and settings.muon_rate is not None else others).append(parameter)
    optimizers: list[torch.optim.Optimizer] = []
    if others:
        rate, betas = settings.adamw_rate, (0.9, 0.95)
        optimizers.append(torch.optim.AdamW(others, lr=rate, betas=betas, weight_decay=0.0))
    if matrices:
        rate, decay = settings.muon_rate or 0.0, settings.weight_decay
        optimizers.append(torch.optim.Muon(matrices, lr=rate, weight_decay=decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers
