"""Values chosen to share a hash: a table that is built of them takes quadratic time.

Python's hashes of numbers, and of tuples of them, are known, so that a program can choose many with
one hash; those of texts are not. Where a test makes a set of an answer, it is in the caller that
the time passes. This module is loaded on both sides and imports only the standard library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

MOST_EQUAL = 64
"""So many different keys with one hash cost nothing to speak of. Honest ones may share theirs:
every 61st power of two, all tuples of -1 and -2 of one length."""

MOST_COMPARED = 2**21
"""Numbers compared for all further ones, of which each is compared with all before it."""

_NUMBER_BYTES = 64
"""Of an integer or a text that counts as one number."""

CHECK_FROM = 256
"""Fewer keys cannot cost much, whatever they are."""


def collide(keys: Sequence[Any]) -> bool:
    """Return whether too many different keys share a hash.

    Raises:
      TypeError: one of them has none.
    """
    return len(keys) >= CHECK_FROM and _collide([*map(hash, keys)], keys, lambda key: key)


def parts_collide(parts: Sequence[Any]) -> bool:
    """Return whether the parts of an answer would, as a test may put them into a table.

    Args:
      parts: inner ones before those that they are in. Lists count as tuples, sets as frozen ones;
        what cannot be a key so does not count.
    """
    if len(parts) < CHECK_FROM:
        return False
    hashes, flat, deep = [], [], []
    for part in parts:
        try:
            hashes.append(hash(_key(part)))
            flat.append(part)
        except TypeError:
            deep.append(part)
    return _collide(hashes, flat, _key) or (len(deep) > MOST_EQUAL and collide(_keys(flat, deep)))


def _key(part: Any) -> Any:
    kind = type(part)
    return tuple(part) if kind is list else frozenset(part) if kind is set else part


def _keys(flat: Sequence[Any], deep: Sequence[Any]) -> list[Any]:
    """Return the keys that lists of lists make once the inner ones are replaced by theirs."""
    known = {id(part): _key(part) for part in flat}
    found = []
    for part in deep:
        if type(part) in (list, tuple):
            key = tuple([known.get(id(item), item) for item in part])
            try:
                hash(key)
            except TypeError:  # a dictionary in it
                continue
            known[id(part)] = key
            found.append(key)
    return found


def _collide(hashes: Sequence[int], parts: Sequence[Any], key_of: Callable[[Any], Any]) -> bool:
    if len(set(hashes)) > len(hashes) - MOST_EQUAL:
        return False
    different: dict[int, list[Any]] = {
        value: [] for value, count in Counter(hashes).items() if count > MOST_EQUAL
    }
    compared = 0
    for value, part in zip(hashes, parts):
        found = different.get(value)
        if found is None:
            continue
        key = key_of(part)
        if len(found) >= MOST_EQUAL:
            compared += len(found) * _count_numbers(key)
            if compared > MOST_COMPARED:
                return True
        if key not in found:
            found.append(key)
    return False


def _count_numbers(key: Any) -> int:
    if isinstance(key, (tuple, frozenset)):
        return 1 + sum(map(_count_numbers, key))
    if isinstance(key, (str, bytes)):
        return 1 + len(key) // _NUMBER_BYTES
    return 1 + key.bit_length() // (8 * _NUMBER_BYTES) if isinstance(key, int) else 1
