"""Draws: independent of the batch, and distributed as asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stepnav.policies.local.sampling import sample, uniforms


def test_uniforms_are_even_and_depend_on_seed_and_counter() -> None:
    draws = uniforms(list(range(200)) * 50, [c for c in range(50) for _ in range(200)])
    assert draws.min() >= 0
    assert draws.max() < 1
    assert len(np.unique(draws)) > 9990
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    assert counts.min() > 880
    assert counts.max() < 1120
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.05
    assert uniforms([7], [3])[0] == uniforms([1, 7], [9, 3])[1]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.6)])
def test_frequencies_follow_the_distribution(temperature: float, top_p: float) -> None:
    probs = torch.tensor([0.05, 0.4, 0.0, 0.25, 0.3])
    logits = probs.log().repeat(20_000, 1)
    tokens, logprobs = sample(
        logits, [temperature] * 20_000, [top_p] * 20_000, [11] * 20_000, range(20_000)
    )
    expected = probs ** (1 / temperature)
    if top_p == 0.6:
        expected[[0, 3]] = 0
    expected = expected / expected.sum()
    found = np.bincount(tokens, minlength=5) / 20_000
    np.testing.assert_allclose(found, expected.numpy(), atol=0.012)
    assert logprobs[0] == pytest.approx(float(probs[tokens[0]].log()), abs=1e-5)


def test_temperature_zero_is_greedy_beside_warm_rows() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    tokens, _ = sample(logits, [0.0, 1.0], [1.0, 1e-9], [1, 2], [0, 0])
    assert tokens == [1, 0]
