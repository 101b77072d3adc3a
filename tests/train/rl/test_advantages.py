import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.train.rl.advantages import EPSILON, step_advantages, token_advantages

rewards = st.floats(0, 1, width=32)
groups = st.lists(st.lists(rewards, max_size=4), min_size=1, max_size=6)


def test_hand_computed() -> None:
    # mean .5; squared deviations .25, .25, .25, .25 over 3: deviation .5774
    unit = 0.5 / (math.sqrt(1 / 3) + EPSILON)
    found = step_advantages([[1.0, 0.0], [1.0], [0.0]])
    assert found[0] == pytest.approx([0.0, -unit])  # +unit of itself, -unit of what follows
    assert found[1] == pytest.approx([unit])
    assert found[2] == pytest.approx([-unit])


def test_a_step_counts_what_follows_it_and_nothing_before() -> None:
    before, after = step_advantages([[0.1, 0.9, 0.4], [0.5]])[0][1:], [0.9, 0.4]
    mean = statistics.mean([0.1, 0.9, 0.4, 0.5])
    deviation = statistics.stdev([0.1, 0.9, 0.4, 0.5]) + EPSILON
    assert before[1] == pytest.approx((after[1] - mean) / deviation)
    assert before[0] == pytest.approx((sum(after) - 2 * mean) / deviation)


@pytest.mark.parametrize("group", [[], [[]], [[0.7]], [[], [0.3]], [[0.4, 0.4], [0.4]]])
def test_what_cannot_differ_has_no_advantage(group: list[list[float]]) -> None:
    found = step_advantages(group)
    assert [len(one) for one in found] == [len(one) for one in group]
    assert all(abs(advantage) < 1e-9 for one in found for advantage in one)


@given(st.lists(rewards, min_size=2, max_size=8))
def test_solutions_of_one_step_are_grpos_group_normalisation(outcomes: list[float]) -> None:
    mean, deviation = statistics.mean(outcomes), statistics.stdev(outcomes)
    expected = [(reward - mean) / (deviation + EPSILON) for reward in outcomes]
    found = step_advantages([[reward] for reward in outcomes])
    assert [a for (a,) in found] == pytest.approx(expected, abs=1e-6)


@given(groups, st.randoms())
def test_permuting_a_group_permutes_its_advantages(
    group: list[list[float]], rng: random.Random
) -> None:
    order = list(range(len(group)))
    rng.shuffle(order)
    found = step_advantages([group[place] for place in order])
    for place, advantages in zip(order, found):
        assert advantages == pytest.approx(step_advantages(group)[place], abs=1e-6)


@given(groups)
def test_first_differences_sum_to_nothing(group: list[list[float]]) -> None:
    found = step_advantages(group)
    normalised = [a - b for one in found for a, b in zip(one, [*one[1:], 0.0])]
    assert sum(normalised) == pytest.approx(0.0, abs=1e-6)


@given(groups, st.floats(0.5, 2), st.floats(-1, 1))
def test_scale_and_shift_of_rewards_change_next_to_nothing(
    group: list[list[float]], scale: float, shift: float
) -> None:
    every = [reward for one in group for reward in one]
    if len(every) < 2 or statistics.stdev(every) < 0.05:
        return
    other = step_advantages([[scale * reward + shift for reward in one] for one in group])
    for found, expected in zip(other, step_advantages(group)):
        assert found == pytest.approx(expected, rel=0.02, abs=0.02)


@given(st.lists(st.tuples(st.floats(-3, 3), st.integers(1, 4)), max_size=5), st.integers(0, 3))
def test_each_token_has_its_steps_advantage(steps: list[tuple[float, int]], padding: int) -> None:
    expected = [advantage for advantage, length in steps for _ in range(length)]
    ends = [sum(length for _, length in steps[: n + 1]) - 1 for n in range(len(steps))]
    found = token_advantages([a for a, _ in steps], ends, len(expected) + padding)
    assert found == expected + [0.0] * padding
