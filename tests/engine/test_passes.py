"""How slots are cut into blocks that attention looks at together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from stepnav.engine.passes import CALL_TOKENS, cut_block

LENGTHS = st.lists(st.integers(1, 80).map(lambda n: 16 * n), min_size=1, max_size=9)


def cost(lengths: Sequence[int], ends: Sequence[int]) -> int:
    """Return the time that the parts of a block take, in cached tokens."""
    parts = [lengths[start:end] for start, end in pairwise([0, *ends])]
    return sum(CALL_TOKENS + len(part) * max(part) for part in parts)


@given(LENGTHS)
def test_no_other_parts_of_a_block_take_less_time(lengths: list[int]) -> None:
    ends = cut_block(lengths)
    assert ends[-1] == len(lengths)
    assert ends == sorted(set(ends))
    inner = range(1, len(lengths))
    every = [[*cut, len(lengths)] for n in range(len(lengths)) for cut in combinations(inner, n)]
    assert cost(lengths, ends) == min(cost(lengths, other) for other in every)


def test_one_long_row_is_looked_at_alone() -> None:
    assert cut_block([208] * 7 + [1024] + [208] * 8) == [7, 8, 16]
    assert cut_block([208] * 7 + [240] + [208] * 8) == [16]
