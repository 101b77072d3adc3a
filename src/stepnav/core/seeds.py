"""Seeds derived by hashing, so that no draw depends on what else is drawn.

SHA-256-grade mixing from BLAKE2 (standard library); Python's own `hash` is salted per process and
one `random.Random` for all would depend on the order of use, so neither can be replayed.

A strategy that itself chooses by chance (resampling, a random walk) declares an argument `seed`, as
others declare `extract`; it is given one seed per search and makes `random.Random(seed)` of it. A
program is sent the same answers in the same order whenever it is replayed, so its choices repeat.
"""

from __future__ import annotations

from hashlib import blake2b

_EMPTY = blake2b(digest_size=8)


def derive_seed(*parts: int | str) -> int:
    """Return a 63-bit seed that depends on every part and on their order.

    Example:
      >>> derive_seed(0, "gsm8k-test-1", "hgs", 3) == derive_seed(0, "gsm8k-test-1", "hgs", 3)
      True
    """
    text = "\x1f".join([f"i{part}" if type(part) is int else f"s{part}" for part in parts])
    mixed = _EMPTY.copy()  # twice as fast as a new one, and every request needs two
    mixed.update(text.encode())
    return int.from_bytes(mixed.digest(), "big") >> 1
