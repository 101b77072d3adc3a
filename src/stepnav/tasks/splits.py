"""Splits of the embedded tasks: the hash of what a problem is decides where alone it may be drawn."""

from __future__ import annotations

import hashlib

SPLITS = ("train", "dev", "test")


def split_of(text: str) -> str:
    """Return the only split in which this text may be drawn: 90% train, 5% dev, 5% test."""
    bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100
    return "train" if bucket < 90 else "dev" if bucket < 95 else "test"


def check_drawn(split: str, count: int) -> None:
    """Refuse to draw from a split that there is none of, or fewer problems than none.

    Raises:
      ValueError: the split is unknown or the count is negative.
    """
    if split not in SPLITS or count < 0:
        raise ValueError(
            f"split must be one of {SPLITS} and count >= 0 (got split={split!r}, count={count})"
        )
