"""What may be wrong with a checkpoint's weights: lacking, of another shape, or no numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def wrong_weights(report: dict[str, Any], missing: Iterable[str]) -> str:
    """Return what is wrong with a checkpoint's weights, "" for nothing.

    Args:
      report: transformers' loading info.
      missing: names of weights that are needed and not there.
    """
    for name, saved, wanted in sorted(report["mismatched_keys"]):
        return f"its {name} is {list(saved)}, and its config.json asks for {list(wanted)}"
    names = sorted(missing)
    more = " ..." if len(names) > 3 else ""
    return f"its weights lack {', '.join(names[:3])}{more}" if names else ""


def non_finite_weight(model: Any) -> str:
    """Return which weight holds a NaN or an infinite number, "" if none does.

    A sum of finite numbers is finite unless they are huge, and reads them once without a copy; only
    weights whose sum is not are looked at one by one.
    """
    import torch

    weights = {
        name: getattr(weight, "to_local", weight.detach)()  # of a sharded one, this process's part
        for name, weight in model.named_parameters()
        if weight.is_floating_point() and weight.element_size() > 1  # 8-bit floats have no sum
    }
    with torch.no_grad():
        sums = torch.stack([weight.sum().float() for weight in weights.values()]).tolist()
    for (name, weight), total in zip(weights.items(), sums):
        if not math.isfinite(total) and not weight.isfinite().all():
            return f"its {name} holds NaN or infinite numbers"
    return ""
