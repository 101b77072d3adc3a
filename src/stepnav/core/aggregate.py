"""Step scores to one number per trajectory.

Which of them was used is named in every result, because it matters: Lightman et al. 2023 (section
2.6) take the product, Wang et al. 2024 (Math-Shepherd, section 3.4) the minimum, Snell et al. 2024
(appendix E) the last step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from stepnav.core.records import StepScore

Aggregation = Literal["last", "min", "mean", "prod"]

AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "min": min,
    "mean": lambda values: math.fsum(values) / len(values),
    "prod": math.prod,
}


def aggregate(scores: Sequence[StepScore], aggregation: Aggregation) -> float:
    """Return one number in [0, 1] for a trajectory's step scores, higher is better.

    Args:
      scores: at least one.
      aggregation: a key of `AGGREGATIONS`.
    Raises:
      ValueError: there are no scores, or no such aggregation.
    Example:
      >>> aggregate([StepScore(0.5, 0.0, 0.5), StepScore(0.0, 0.0, 1.0)], "mean")
      0.75
    """
    if not scores:
        raise ValueError("cannot aggregate the scores of a trajectory without steps")
    if aggregation not in AGGREGATIONS:
        raise ValueError(
            f"aggregation must be one of {', '.join(AGGREGATIONS)} (got {aggregation!r})"
        )
    return AGGREGATIONS[aggregation]([score.value for score in scores])
