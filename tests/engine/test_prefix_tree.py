"""The radix tree, checked against a dictionary of what each token's keys and values must be."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.engine.prefix_tree import Match, PrefixTree


def stamp(tokens: list[int], start: int, end: int) -> torch.Tensor:
    """Return one number per token that tells its whole prefix."""
    values = [float(hash(tuple(tokens[: at + 1])) % 9973) for at in range(start, end)]
    return torch.tensor(values, dtype=torch.float64)[None, :, None]


def add(tree: PrefixTree, tokens: list[int], *ends: int) -> None:
    tree.insert(
        tokens, lambda a, b: stamp(tokens, a, b), {end: tuple(tokens[: end + 1]) for end in ends}
    )


def read(match: Match) -> torch.Tensor:
    parts = [values[:, :count] for values, count in match.segments]
    return torch.cat(parts, dim=1) if parts else torch.zeros(1, 0, 1, dtype=torch.float64)


def test_a_child_finds_its_parent() -> None:
    tree = PrefixTree(100)
    add(tree, [1, 2, 3, 4], 3)
    found = tree.match([1, 2, 3, 4, 5])
    assert found.length == 4
    assert found.outputs == {3: (1, 2, 3, 4)}
    assert tree.match([2]).length == 0


def test_a_run_is_split_where_sequences_part() -> None:
    tree = PrefixTree(100)
    add(tree, [1, 2, 3, 4], 3)
    add(tree, [1, 2, 9], 1)
    assert tree.num_tokens == 5
    assert tree.match([1, 2, 9]).outputs == {1: (1, 2)}
    assert tree.match([1, 2, 3, 4]).outputs == {1: (1, 2), 3: (1, 2, 3, 4)}


def test_the_least_recently_used_leaf_goes_first() -> None:
    tree = PrefixTree(10)
    add(tree, [1, 1, 1])
    add(tree, [2, 2, 2])
    add(tree, [3, 3, 3])
    tree.match([1, 1, 1])
    add(tree, [4, 4, 4])
    assert tree.match([2, 2, 2]).length == 0
    assert tree.match([1, 1, 1]).length == 3
    assert tree.num_tokens <= 10


def test_outputs_count_towards_the_bound() -> None:
    tree = PrefixTree(10, output_tokens=4)
    add(tree, [1, 1, 1], 2)
    assert tree.num_tokens == 7
    add(tree, [2, 2, 2], 2)
    assert tree.num_tokens <= 10


def test_a_bound_below_one_sequence_keeps_none_or_part_of_it() -> None:
    tree = PrefixTree(2)
    add(tree, [1, 2, 3, 4], 3)
    assert tree.num_tokens <= 2
    assert tree.match([1, 2, 3, 4]).outputs == {}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=25),
    st.integers(0, 40),
)
def test_what_is_found_is_right_and_bounded(sequences: list[list[int]], bound: int) -> None:
    tree = PrefixTree(bound, output_tokens=1)
    for tokens in sequences:
        add(tree, tokens, len(tokens) - 1, len(tokens) // 2)
        assert tree.num_tokens <= bound
        for other in sequences:
            found = tree.match(other)
            assert torch.equal(read(found), stamp(other, 0, found.length))
            assert all(output == tuple(other[: end + 1]) for end, output in found.outputs.items())
