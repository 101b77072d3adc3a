"""Which rating each class of a classifier stands for, from its own config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stepnav.core.errors import ConfigError

RATINGS: Mapping[str, int] = {
    **dict.fromkeys(("-1", "negative", "bad", "incorrect", "wrong", "error", "false", "-"), -1),
    **dict.fromkeys(("0", "neutral", "ok", "okay"), 0),
    **dict.fromkeys(("1", "+1", "positive", "good", "correct", "right", "true", "+"), 1),
}
"""Name of a class, in small letters -> the rating that it stands for."""

UNNAMED: Mapping[int, tuple[int, ...]] = {2: (-1, 1), 3: (-1, 0, 1)}
"""What classes without names of their own stand for, by their number: worst first, as in TRL."""


PUT_A_FORMAT = "put a stepnav_prm.json beside the weights whose labels say which (-1, 0 or 1)"


def class_ratings(config: Any, advice: str = PUT_A_FORMAT) -> tuple[int, ...]:
    """Return the rating of each class; () for one output, which is a value.

    Args:
      config: with `num_labels` and `id2label`.
      advice: what to do about names that are no ratings.
    Raises:
      ConfigError: more than three classes, or names that are no ratings.
    """
    count = config.num_labels
    if count == 1:
        return ()
    names = _names(config)
    if all(re.fullmatch(r"label_\d+", name) for name in names) and count in UNNAMED:
        return UNNAMED[count]
    ratings = _named_ratings(names)
    if len(ratings) < count or len(set(ratings)) < count or not {-1, 1} <= set(ratings):
        raise ConfigError(
            f"the classes {', '.join(map(str, config.id2label.values()))} of the model stand for "
            f"no ratings that are known; {advice}"
        )
    return ratings


def check_labels(config: Any, labels: Sequence[int]) -> None:
    """Refuse labels that the classes' own names contradict; names that are not known say nothing.

    Args:
      config: with `num_labels` and `id2label`.
      labels: the rating that each class is to stand for; empty for a value.
    Raises:
      ConfigError: all names are known, and say other ratings.
    """
    ratings = _named_ratings(_names(config))
    if labels and len(ratings) == len(labels) and ratings != tuple(labels):
        raise ConfigError(
            f"the model's classes are named {', '.join(map(str, config.id2label.values()))}, and "
            f"its step format labels them {', '.join(map(str, labels))}; correct the labels in "
            "stepnav_prm.json, or id2label in config.json"
        )


def _names(config: Any) -> list[str]:
    return [str(config.id2label.get(at, "")).strip().lower() for at in range(config.num_labels)]


def _named_ratings(names: Sequence[str]) -> tuple[int, ...]:
    """Return the ratings that names stand for, of those that are known."""
    if sorted(names) == ["0", "1"]:
        return tuple(-1 if name == "0" else 1 for name in names)
    return tuple(RATINGS[name] for name in names if name in RATINGS)
