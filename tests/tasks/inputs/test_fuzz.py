from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.tasks.inputs.calls import KnownCall, called_names, known_calls
from stepnav.tasks.inputs.fuzz import find_relations, fuzz_inputs
from stepnav.tasks.inputs.values import canonical


def calls(*rows: tuple[object, ...]) -> list[KnownCall]:
    return [KnownCall(row, {}) for row in rows]


def test_calls_are_read_from_tests() -> None:
    tests = ["assert f([1, -2], n=3) == (f('x'))", "assert sorted(g(f(x))) == f(1 + 1)"]
    found = known_calls(tests, ["f"])
    assert found == [KnownCall(([1, -2],), {"n": 3}), KnownCall(("x",), {})]
    assert called_names(tests) == ["f", "sorted", "g"]


@pytest.mark.parametrize(
    "rows",
    [
        calls((3,), (10,)),
        calls(("abc",), ("Hello World",)),
        calls(([1, 2, 3], 2), ([4, 5], 1)),
        calls(({"a": 1, "b": 2},)),
        calls(((1, "a", 2.5),), ((2, "b", 0.5),)),
        calls(([(1, "x"), (2, "y")], {3, 4})),
        [KnownCall((1,), {"k": "v"}), KnownCall((5,), {"k": "w"})],
    ],
)
def test_there_are_enough_and_none_twice(rows: list[KnownCall]) -> None:
    found = fuzz_inputs(rows, 250, seed=1)
    assert len(found) == 250
    assert len({repr(canonical((c.args, dict(c.kwargs)))) for c in found}) == 250
    assert found == fuzz_inputs(rows, 250, seed=1)
    assert found != fuzz_inputs(rows, 250, seed=2)
    for call in found:
        assert [type(arg) for arg in call.args] == [type(arg) for arg in rows[0].args]
        assert set(call.kwargs) == set(rows[0].kwargs)


def test_signs_and_tuple_lengths_are_kept() -> None:
    found = fuzz_inputs(calls((3, (1, 2)), (10, (5, 6))), 250, seed=0)
    assert all(call.args[0] >= 0 and len(call.args[1]) == 2 for call in found)
    assert any(call.args[0] < 0 for call in fuzz_inputs(calls((-3,), (10,)), 200, seed=0))


def test_relations_between_arguments() -> None:
    rows = [[[1, 3, 9], 3, 0], [[2, 5], 2, 1]]
    relations = find_relations(rows)
    assert relations.lengths == ((1, 0),)
    assert relations.indices == ((2, 0),)
    assert relations.sorted == (0,)
    found = fuzz_inputs(calls(*map(tuple, rows)), 250, seed=0)
    assert all(call.args[1] == len(call.args[0]) for call in found)
    in_order = sum(call.args[0] == sorted(call.args[0]) for call in found)
    assert 150 < in_order < 250


def test_what_has_no_calls_or_few_values_gives_few_inputs() -> None:
    assert fuzz_inputs([], 200, seed=0) == []
    assert len(fuzz_inputs(calls((True,)), 200, seed=0)) == 1
    assert fuzz_inputs([KnownCall((), {})], 200, seed=0) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=3), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_any_pattern_can_be_drawn_from(rows: list[tuple[object, object]], seed: int) -> None:
    for call in fuzz_inputs(calls(*rows), 10, seed=seed):
        assert len(call.args) == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1, 2], [1, 2], True),
        ([1], (1,), False),
        (1, 1.0, False),
        (1, True, False),
        (float("nan"), float("nan"), True),
        (0.0, -0.0, False),
        ({1, 2}, {2, 1}, True),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        (iter([1, 2]), iter([1, 2]), True),
    ],
)
def test_values_are_compared_by_type_and_content(one: object, other: object, same: bool) -> None:
    assert (canonical(one) == canonical(other)) is same
