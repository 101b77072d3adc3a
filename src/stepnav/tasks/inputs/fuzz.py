"""Inputs for differential testing, drawn from the types and ranges of the known calls.

An argument's values in the known calls are its pattern: numbers are drawn from their range widened
by its own width, texts from their alphabet, containers from their elements and lengths; the sign of
numbers and the length of tuples are kept. What holds between arguments in every known call is kept
too, as it is likely what the function requires: a number that is the length of a container, or an
index into one, and lists that are in order.

Which inputs count is decided where they are run (`judging`): one on which the reference raises,
runs out of time, or does not give the same value twice lies outside its domain and tells nothing.
Deliberately absent: coverage guidance and shrinking.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.core.seeds import derive_seed
from stepnav.tasks.inputs.calls import KnownCall
from stepnav.tasks.inputs.values import written

MAX_EXTRA = 3
"""A container or text may be this much longer than the longest known one."""

MAX_WIDENINGS = 12
"""How often a pattern that is used up is widened."""

LOOSE_SHARE = 0.2
"""Share of inputs that need not keep an order or an index seen in the known calls."""

Draw = Callable[[random.Random, Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Relations:
    """What holds between arguments in every known call.

    Attributes:
      lengths: (number, container): the first is the length of the second.
      indices: (number, container): the first is an index into the second.
      sorted: arguments that are lists in ascending order.
    """

    lengths: tuple[tuple[int, int], ...]
    indices: tuple[tuple[int, int], ...]
    sorted: tuple[int, ...]


def fuzz_inputs(calls: Sequence[KnownCall], count: int, *, seed: int) -> list[KnownCall]:
    """Return up to `count` inputs, no two alike and none of them known.

    There are fewer where the pattern has no more.

    Args:
      calls: the known calls; those with another number of arguments than the first are left out.
      count: how many are wanted.
      seed: same seed, same inputs.
    """
    if not calls:
        return []
    names = tuple(sorted(calls[0].kwargs))
    shape = (len(calls[0].args), names)
    alike = [call for call in calls if (len(call.args), tuple(sorted(call.kwargs))) == shape]
    rows = [[*call.args, *(call.kwargs[name] for name in names)] for call in alike]
    found = _draw_rows(random.Random(derive_seed(seed, "fuzz")), rows, count)
    cut = shape[0]
    return [KnownCall(tuple(row[:cut]), dict(zip(names, row[cut:]))) for row in found]


def _draw_rows(rng: random.Random, rows: list[list[Any]], count: int) -> list[list[Any]]:
    """Return new rows; where the pattern is used up, it is widened by the rows found so far."""
    relations = find_relations(rows)
    seen = {_key(row) for row in rows}
    found: list[list[Any]] = []
    for _ in range(MAX_WIDENINGS):
        pattern = [*rows, *found]
        for _ in range(count):
            row = _draw_row(rng, pattern, relations)
            if _key(row) not in seen:
                seen.add(_key(row))
                found.append(row)
            if len(found) == count:
                return found
    return found


def find_relations(rows: Sequence[Sequence[Any]]) -> Relations:
    """Return what holds between the arguments in every row."""
    width = range(len(rows[0]))
    numbers = [i for i in width if all(type(row[i]) is int for row in rows)]
    containers = [i for i in width if all(isinstance(row[i], (list, tuple, str)) for row in rows)]
    pairs = [(i, j) for i in numbers for j in containers]
    lengths = tuple((i, j) for i, j in pairs if all(row[i] == len(row[j]) for row in rows))
    indices = tuple(
        (i, j)
        for i, j in pairs
        if (i, j) not in lengths and all(0 <= row[i] < len(row[j]) for row in rows)
    )
    ordered = tuple(i for i in containers if all(_is_sorted(row[i]) for row in rows))
    return Relations(lengths, indices, ordered)


def draw_like(rng: random.Random, seen: Sequence[Any]) -> Any:
    """Return a value like one of those seen, of the type of one of them."""
    kind = type(rng.choice(seen))
    alike = [value for value in seen if type(value) is kind]
    return _DRAWS.get(kind, _draw_seen)(rng, alike)


def _draw_row(rng: random.Random, rows: Sequence[Sequence[Any]], relations: Relations) -> list[Any]:
    row = [draw_like(rng, column) for column in zip(*rows)]
    is_loose = rng.random() < LOOSE_SHARE
    for position in relations.sorted:
        if not is_loose:
            row[position] = _in_order(row[position])
    for number, container in relations.indices:
        if not is_loose:
            row[number] = rng.randrange(max(1, len(row[container])))
    for number, container in relations.lengths:
        row[number] = len(row[container])
    return row


def _draw_int(rng: random.Random, seen: Sequence[int]) -> int:
    low, high = min(seen), max(seen)
    width = max(3, high - low)
    bottom = low - width if low < 0 else max(0, low - width)
    near = [rng.choice(seen) + rng.choice((-1, 1)), rng.randint(0, 3), rng.choice(seen)]
    drawn = rng.choice([rng.randint(bottom, high + width)] * 4 + near)
    return max(0, drawn) if low >= 0 else drawn


def _draw_float(rng: random.Random, seen: Sequence[float]) -> float:
    finite = [value for value in seen if abs(value) < 1e300]
    if not finite:
        return rng.choice(seen)
    low, high = min(finite), max(finite)
    width = max(1.0, high - low)
    bottom = low - width if low < 0 else max(0.0, low - width)
    return round(rng.uniform(bottom, high + width), rng.choice((0, 1, 2, 4)))


def _draw_text(rng: random.Random, seen: Sequence[str]) -> str:
    base, other = rng.choice(seen), rng.choice(seen)
    alphabet = "".join(seen) or "abc"
    longest = max(map(len, seen)) + MAX_EXTRA
    cut = rng.randint(0, len(base))
    way = rng.randrange(7)
    if way == 0:
        return base[:cut] + other[rng.randint(0, len(other)) :]
    if way == 1:
        return base[:cut] + rng.choice(alphabet) + base[cut:]
    if way == 2:
        return base[:cut] + base[cut + 1 :]
    if way == 3:
        return rng.choice((base.upper(), base.lower(), base.swapcase(), base[::-1]))
    if way == 4:
        return "".join(rng.sample(base, len(base)))
    letters = rng.choice((alphabet, base or alphabet, rng.choice(alphabet)))
    return "".join(rng.choices(letters, k=rng.randint(0, longest)))


def _draw_list(rng: random.Random, seen: Sequence[Sequence[Any]]) -> list[Any]:
    base = list(rng.choice(seen))
    pool = [element for value in seen for element in value]
    way = rng.randrange(6)
    if not pool:
        return []
    if way == 0:
        return rng.sample(base, len(base))
    if way == 1:
        return [element if rng.random() < 0.7 else draw_like(rng, pool) for element in base]
    if way == 2:
        return [draw_like(rng, base or pool) for _ in base]
    few = [draw_like(rng, pool) for _ in range(3)]
    length = rng.randint(0, max(map(len, seen)) + MAX_EXTRA)
    return [rng.choice(few) if way == 3 else draw_like(rng, pool) for _ in range(length)]


def _draw_tuple(rng: random.Random, seen: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    lengths = {len(value) for value in seen}
    if len(lengths) == 1 and lengths != {0}:
        return tuple(draw_like(rng, column) for column in zip(*seen))
    return tuple(_draw_list(rng, seen))


def _draw_dict(rng: random.Random, seen: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
    keys = [key for value in seen for key in value]
    values = [item for value in seen for item in value.values()]
    if not keys:
        return {}
    base = rng.choice(seen)
    if rng.random() < 0.5:
        return {key: draw_like(rng, values) for key in base}
    length = rng.randint(0, max(map(len, seen)) + MAX_EXTRA)
    return {draw_like(rng, keys): draw_like(rng, values) for _ in range(length)}


def _draw_set(rng: random.Random, seen: Sequence[Any]) -> set[Any]:
    return set(_draw_list(rng, [sorted(value, key=repr) for value in seen]))


def _draw_seen(rng: random.Random, seen: Sequence[Any]) -> Any:
    return rng.choice(seen)


_DRAWS: Mapping[type, Draw] = {
    bool: lambda rng, seen: rng.random() < 0.5,
    int: _draw_int,
    float: _draw_float,
    str: _draw_text,
    list: _draw_list,
    tuple: _draw_tuple,
    dict: _draw_dict,
    set: _draw_set,
}
"""Type -> how a value of it is drawn; of other types a known value is taken."""


def _key(value: Any) -> str:
    """Return a text that is equal for equal values, whatever the order of sets and dictionaries."""
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}{sorted(map(_key, value))}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(_key, value))})"
    if isinstance(value, dict):
        return f"dict{sorted((_key(key), _key(item)) for key, item in value.items())}"
    return written(value)


def _is_sorted(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and _in_order(value) == value


def _in_order(value: Any) -> Any:
    try:
        return sorted(value) if isinstance(value, list) else value
    except TypeError:
        return value
