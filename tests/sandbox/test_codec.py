from __future__ import annotations

import collections
import contextlib
import itertools
import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepnav.sandbox.codec import (
    MAX_INT_BYTES,
    BrokenError,
    TooLargeError,
    UnencodableError,
    decode,
    encode,
)
from stepnav.sandbox.records import Ref

busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No example is timed: machines are busy."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())  # surrogates included
    | st.binary()
)
hashable = st.recursive(
    scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4), max_leaves=6
)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.sets(hashable, max_size=4)
    ),
    max_leaves=20,
)


def shape(value: Any) -> Any:
    """Return a value with every type spelled out, since 1 == True == 1.0."""
    if isinstance(value, (list, tuple)):
        return (type(value), [shape(item) for item in value])
    if isinstance(value, dict):
        return (type(value), [(shape(key), shape(item)) for key, item in value.items()])
    return (type(value), repr(value) if isinstance(value, (float, complex)) else value)


@busy
@given(values)
def test_round_trip_keeps_values_and_types(value: Any) -> None:
    assert shape(decode(encode(value))) == shape(value)


@pytest.mark.parametrize(
    "value",
    [
        0, -1, 127, 128, -128, -129, 255, 2**63, -(2**64), 10**300, math.inf, -math.inf, -0.0,
        "\ud800", "\0", "é" * 300, b"\xff" * 300, [], (), set(), frozenset(), {}, range(1, 9, 2),
        [[1], (2,), {3: {4}}], {(1, 2): [None, True, False]}, collections.Counter("aab"),
        collections.OrderedDict(a=1), collections.deque([1, 2]), int, str, type(None), Ref(3),
    ],
)  # fmt: skip
def test_round_trip_of_edges(value: Any) -> None:
    back = decode(encode(value))
    assert back == value and type(back) is type(value)
    assert repr(back) == repr(value)


def test_nan_and_factories() -> None:
    assert math.isnan(decode(encode(math.nan)))
    counts = collections.defaultdict(list, {1: [2]})
    back = decode(encode(counts))
    assert back == counts and type(back) is collections.defaultdict and back.default_factory is None


def test_iterators_arrive_as_iterators_and_views_as_views() -> None:
    back = decode(encode(map(abs, [-1, 2])))
    assert back != [1, 2] and next(back) == 1 and list(back) == [2]
    assert decode(encode({1: 2}.keys())) == {1}
    assert list(decode(encode({1: 2}.values()))) == [2]
    assert decode(encode({1: 2}.items())) == {(1, 2)}


class Number(int):
    pass


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Number(1), "Number"), (collections.namedtuple("P", "x")(1), "P"), (object(), "object"),
        (len, "builtin_function_or_method"), ([1, {2: Number(3)}], "Number"), (Number, "type"),
        (bytearray(b"x"), "bytearray"), (ValueError("x"), "ValueError"), (..., "ellipsis"),
    ],
)  # fmt: skip
def test_other_types_are_refused_by_name(value: Any, name: str) -> None:
    with pytest.raises(UnencodableError, match=f"^{name}$"):
        encode(value)


def test_caps_of_the_encoder() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TooLargeError, match="deep"):
        encode(loop)
    with pytest.raises(TooLargeError, match="integer"):
        encode(1 << (8 * MAX_INT_BYTES))
    with pytest.raises(TooLargeError, match="bytes"):
        encode(["x" * 60, "y" * 60], max_bytes=100)
    with pytest.raises(TooLargeError, match="iterator"):
        encode(iter(range(2**21)))
    assert decode(encode(1 << (8 * MAX_INT_BYTES - 2))) == 1 << (8 * MAX_INT_BYTES - 2)


def test_depth_is_capped_on_both_sides() -> None:
    nested: list[Any] = []
    for _ in range(9):
        nested = [nested]
    assert decode(encode(nested, max_depth=10), max_depth=10) == nested
    with pytest.raises(BrokenError, match="deep"):
        decode(encode(nested, max_depth=10), max_depth=9)


@pytest.mark.parametrize("tag", [b"l\x01", b"I", b"k", b"t\x01", b"d\x01", b"y", b"R", b"r"])
def test_deeply_nested_bytes_do_not_exhaust_the_stack(tag: bytes) -> None:
    with pytest.raises(BrokenError):
        decode(tag * 10**6)


@busy
@given(st.binary(max_size=60))
def test_foreign_bytes_decode_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(BrokenError):
        decode(data)


def test_damaged_encodings_are_refused_or_decode_to_plain_values() -> None:
    good = encode([1, "text", {2: (3.0, {4})}, b"bytes", None, range(3)])
    rng = random.Random(0)
    for _ in range(3000):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] = rng.randrange(256)
        with contextlib.suppress(BrokenError):
            decode(bytes(bad[: rng.randrange(1, len(bad) + 1)]))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"?", b"i", b"i\x05\x01", b"l\xff\xff\xff\xff\xff", b"s\x02\xff\xff", b"NN", b"f123",
        b"e\x01l\x00", b"d\x01l\x00N", b"yi\x01\x01", b"ys\x04eval", b"kN", b"ml\x01N",
        b"ri\x01\x01i\x01\x01i\x01\x00",
    ],
)  # fmt: skip
def test_broken_bytes(data: bytes) -> None:
    with pytest.raises(BrokenError):
        decode(data)


def test_keys_that_collide_are_refused() -> None:
    clash = [i * (2**61 - 1) for i in range(1, 2500)]
    with pytest.raises(BrokenError, match="hash"):
        decode(encode(clash).replace(b"l", b"e", 1))
    assert len(decode(encode(set(range(5000))))) == 5000


def same_hash(count: int) -> list[tuple[int, int]]:
    """Return pairs of ordinary integers of which all tuples have one hash: CPython's is turned
    round for the second."""
    bits, one, two, start = 2**64, 11400714785074694791, 14029467366897019727, 2870177450012600261
    pairs: list[tuple[int, int]] = []
    first = 0
    while len(pairs) < count:
        first += 1
        state = (start + first * two) % bits
        state = (state << 31 | state >> 33) * one % bits
        wanted = pow(one, -1, bits)  # the state 1, before its last multiplication
        second = ((wanted >> 31 | wanted << 33) - state) * pow(two, -1, bits) % bits
        if second < 2**61 - 1:
            pairs.append((first, second))
    assert len(set(map(hash, pairs))) == 1
    return pairs


CLASH = [i * (2**61 - 1) for i in range(1, 2500)]
PAIRS = same_hash(2500)
ROWS = list(itertools.product(map(list, PAIRS[:40]), repeat=2))


@pytest.mark.parametrize(
    "value",
    [
        CLASH, tuple(CLASH), [float(i) for i in range(300)] + CLASH, [[n] for n in CLASH],
        [{"n": n} for n in CLASH], [complex(1000003 * n, -n) for n in range(2500)], PAIRS,
        [list(pair) for pair in PAIRS], dict(PAIRS),
        [("a" * 2000, pair) for pair in PAIRS[:500]], [2**3000 * n for n in CLASH[:1000]],
        [list(row) for row in ROWS], [{n} for n in CLASH], iter(PAIRS),
        [PAIRS[n : n + 100] for n in range(0, 2500, 100)],
    ],
)  # fmt: skip
def test_an_answer_holds_nothing_of_which_a_test_could_make_colliding_keys(value: Any) -> None:
    data = encode(value)
    decode(data)
    with pytest.raises(BrokenError, match="hash"):
        decode(data, is_answer=True)


@pytest.mark.parametrize(
    "value",
    [
        [[0, 0]] * 5000, [2**70] * 5000, [2**n for n in range(4000)],
        [2**n - 1 for n in range(5000)], [*map(list, itertools.product([-2, -1, 0, 1], repeat=7))],
        list(itertools.product([-2, -1, 0], repeat=6)), [[{}] for _ in range(500)],
        [{"a": n, "b": [n]} for n in range(500)], [float(2**n) for n in range(1000)],
        [list(row) for row in itertools.product([[1], [2], [3]], repeat=6)],
    ],
)  # fmt: skip
def test_equal_members_and_common_ones_are_no_attack(value: Any) -> None:
    assert decode(encode(value), is_answer=True) == value


def test_lists_in_an_answer_are_counted() -> None:
    assert len(decode(encode([[n] for n in range(60000)]), is_answer=True)) == 60000
    for item in ([], (), [1]):
        data = encode([item] * 2**19)
        assert len(decode(data)) == 2**19
        with pytest.raises(BrokenError, match="more lists"):
            decode(data, is_answer=True)
