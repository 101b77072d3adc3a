"""Whether two runs gave the same values: compared by type and content, not by `==`.

`1`, `1.0` and `True` are three values here, and NaN is itself: what a test's `==` would let pass
may still be a change. The order of sets and dictionaries does not count, as it does not for tests.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Set
from typing import Any

from stepnav.sandbox.records import CallResult

_PLAIN = (float, complex, str, bytes, type(None), type)


def canonical(value: Any) -> Any:
    """Return a hashable value that is equal for equal types and contents only.

    Example:
      >>> canonical([1, {2: 3.0}]) == canonical([1, {2: 3.0}])
      True
      >>> canonical(1) == canonical(True)
      False
    """
    kind = type(value).__name__
    if isinstance(value, int):  # not its digits: Python refuses to write more than 4,300
        return kind, value
    if isinstance(value, range):
        return kind, value.start, value.stop, value.step
    if isinstance(value, _PLAIN):
        return kind, repr(value)
    if isinstance(value, Mapping):
        return kind, frozenset((canonical(key), canonical(item)) for key, item in value.items())
    if isinstance(value, Set):
        return kind, frozenset(map(canonical, value))
    return kind, tuple(map(canonical, value))


def written(value: Any) -> str:
    """Return the `repr` of a literal's value; of one with too many digits for it, another text."""
    try:
        return repr(value)
    except ValueError:
        return marshal.dumps(value).hex()


def outcome_of(result: CallResult) -> Any:
    """Return what a call did, for comparison: its value and the arguments it changed in place.

    None where it gave no value: it raised, ran out of something, or returned an object that cannot
    leave the box.
    """
    if result.status != "value":
        return None
    return canonical(result.value), None if result.changed is None else canonical(result.changed)
