"""Which rating each class of a classifier stands for, from its own config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stepnav.core.errors import ConfigError

RATINGS: Mapping[str, int] = {
    "-1": -1,
    "negative": -1,
    "bad": -1,
    "incorrect": -1,
    "wrong": -1,
    "error": -1,
    "false": -1,
    "-": -1,
    "0": 0,
    "neutral": 0,
    "ok": 0,
    "okay": 0,
    "1": 1,
    "+1": 1,
    "positive": 1,
    "good": 1,
    "correct": 1,
    "right": 1,
    "true": 1,
    "+": 1,
}
"""Name of a class, in small letters -> the rating that it stands for."""

UNNAMED: Mapping[int, tuple[int, ...]] = {2: (-1, 1), 3: (-1, 0, 1)}
"""What classes without names of their own stand for, by their number: worst first, as in TRL."""


def class_ratings(config: Any) -> tuple[int, ...]:
    """Return the rating of each class; () for one output, which is a value.

    Args:
      config: with `num_labels` and `id2label`.
    Raises:
      ConfigError: more than three classes, or names that are no ratings.
    """
    count = config.num_labels
    if count == 1:
        return ()
    names = [str(config.id2label.get(index, "")).strip().lower() for index in range(count)]
    if all(re.fullmatch(r"label_\d+", name) for name in names) and count in UNNAMED:
        return UNNAMED[count]
    if sorted(names) == ["0", "1"]:
        return tuple(-1 if name == "0" else 1 for name in names)
    ratings = tuple(RATINGS[name] for name in names if name in RATINGS)
    if len(ratings) < count or len(set(ratings)) < count or not {-1, 1} <= set(ratings):
        raise ConfigError(
            f"the classes {', '.join(map(str, config.id2label.values()))} of the model stand for no ratings that "
            "are known; put a stepnav_prm.json beside the weights whose labels say which (-1, 0 or 1)"
        )
    return ratings
