"""Same request, same tokens, whatever shares the batch, the cache or the pass."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.core.errors import BackendDown, BackendError
from stepnav.core.requests import Complete, Propose, Sampling
from stepnav.engine import passes
from stepnav.policies.local import LocalPolicy
from tests.engine.small_models import ARCHITECTURES, causal_model, poll_all, prefix, tokenizer


def grow(
    model: Any, *, rounds: int = 3, problems: int = 5, shuffle: int = 0, **options: Any
) -> dict[Any, Any]:
    """Return everything that a little tree search is answered, by (problem, depth, request)."""
    backend = LocalPolicy(model, tokenizer(), max_step_tokens=24, max_tokens=48, **options)
    trajectories = {index: prefix(index) for index in range(problems)}
    rng = random.Random(shuffle)
    found: dict[Any, Any] = {}
    ticket = 0
    for depth in range(rounds):
        asked = [(index, depth, number) for index in trajectories for number in range(3)]
        rng.shuffle(asked)
        names = {}
        for index, _, number in asked:
            seed = 1000 * index + 10 * depth + number
            trajectory = trajectories[index]
            request = (
                Propose(trajectory, 2, Sampling(1.0), seed=seed),
                Propose(trajectory, 1, Sampling(0.7, top_p=0.9), seed=seed),
                Complete(trajectory, 1, Sampling(1.3), seed=seed),
            )[number]
            backend.submit(ticket, request)
            names[ticket] = (index, depth, number)
            ticket += 1
        for answered, answer in poll_all(backend, len(names)).items():
            found[names[answered]] = answer.items
        for index in trajectories:
            trajectories[index] = trajectories[index].extend(found[index, depth, 0][0])
    assert backend.runner.num_running == backend.runner.num_waiting == 0
    return found


@pytest.mark.parametrize("name", ["llama", "llama-mha", "gpt2"])
def test_batches_of_1_16_and_64_write_the_same_tree(name: str) -> None:
    whole = grow(causal_model(name), max_batch=64)
    assert grow(causal_model(name), max_batch=16, shuffle=1) == whole
    assert (
        grow(causal_model(name), max_batch=1, rounds=2, problems=3, shuffle=2).items()
        <= whole.items()
    )


def test_eviction_changes_nothing() -> None:
    whole = grow(causal_model(), max_batch=64)
    assert grow(causal_model(), max_batch=8, cache_tokens=60, shuffle=3) == whole
    assert grow(causal_model(), max_batch=64, cache_tokens=0, rounds=2).items() <= whole.items()


def test_short_passes_and_little_memory_change_nothing() -> None:
    whole = grow(causal_model(), max_batch=64)
    assert grow(causal_model(), max_batch=16, pass_tokens=24, max_batch_tokens=400) == whole


@pytest.mark.parametrize("without", [None, ()])
def test_a_model_that_overflows_ends_its_own_requests_only(without: Any) -> None:
    model = causal_model()
    (bad,) = tokenizer().encode("@", add_special_tokens=False)
    with torch.no_grad():
        model.model.embed_tokens.weight[bad] = float("inf")
    backend = LocalPolicy(model, tokenizer(), max_step_tokens=8)
    sampling = Sampling(1.0, without=without)
    backend.submit(0, Propose(prefix(0, "@ two"), 3, sampling, seed=1))
    answer = poll_all(backend, 1)[0]
    assert isinstance(answer, BackendError)
    assert "--dtype float32 or bfloat16" in str(answer)
    backend.runner.tree.clear()
    backend.runner.tree.clear()
    backend.submit(1, Propose(prefix(1), 2, sampling, seed=1))
    clean = poll_all(backend, 1)[1].items
    assert all(math.isfinite(step.logprob) for step in clean)
    assert backend.runner.num_running == backend.runner.num_waiting == 0


def test_memory_that_runs_out_after_a_pass_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalPolicy(causal_model(), tokenizer())

    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(backend.runner, "settle", fail)
    backend.submit(0, Propose(prefix(0), 1, Sampling(1.0), seed=1))
    with pytest.raises(BackendDown, match="the local model failed: out of memory"):
        poll_all(backend, 1)


@pytest.mark.parametrize("name", ["llama", "llama-mha"])
def test_how_blocks_of_rows_are_cut_changes_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = grow(causal_model(name), max_batch=64)
    monkeypatch.setattr(passes, "CALL_TOKENS", 0)  # wherever neighbours are not equally long
    assert grow(causal_model(name), max_batch=64) == whole


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_batch_invariant(name: str) -> None:
    whole = grow(causal_model(name), max_batch=64, rounds=4, problems=10)
    assert grow(causal_model(name), max_batch=16, rounds=4, problems=10, shuffle=1) == whole
    assert grow(causal_model(name), max_batch=1, rounds=4, problems=10, cache_tokens=500) == whole


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(1, 3),
            st.sampled_from([0.0, 0.5, 1.0]),
            st.sampled_from([0.8, 1.0]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_batch_gives_what_one_by_one_gives(asked: list[tuple[int, int, float, float]]) -> None:
    requests = [
        Propose(
            prefix(index),
            n,
            Sampling(temperature, top_p=top_p, max_tokens=12),
            seed=number,
        )
        for number, (index, n, temperature, top_p) in enumerate(asked)
    ]
    together = LocalPolicy(causal_model(), tokenizer())
    for ticket, request in enumerate(requests):
        together.submit(ticket, request)
    answers = poll_all(together, len(requests))
    alone = LocalPolicy(causal_model(), tokenizer())
    for ticket, request in enumerate(requests):
        alone.submit(ticket, request)
        assert poll_all(alone, 1)[ticket].items == answers[ticket].items
