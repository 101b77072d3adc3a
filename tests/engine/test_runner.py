"""Packed passes against plain `transformers` forward passes, over several architectures."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.errors import ConfigError
from stepnav.engine.attention import LENGTH_STEP
from stepnav.engine.row import Row
from stepnav.engine.runner import Runner
from stepnav.engine.slots import grown
from tests.engine.small_models import ARCHITECTURES, causal_model


def run(runner: Runner, rows: list[Row]) -> None:
    """Run read-only rows to their end."""
    for row in rows:
        runner.submit(row)
    left = len(rows)
    while left:
        left -= len(runner.admit())
        asked, outputs = runner.forward()
        for index, (row, position) in enumerate(asked):
            row.outputs[position] = outputs[index].clone()
            if position == row.wanted[-1]:
                runner.settle(row)
                runner.release(row, keep=False)
                left -= 1


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_outputs_equal_plain_forward_passes(name: str) -> None:
    model = causal_model(name)
    rng = random.Random(0)
    trunk = [rng.randrange(2, 280) for _ in range(40)]
    sequences = [trunk[: rng.randrange(1, 40)] for _ in range(6)]
    sequences = [
        s + [rng.randrange(2, 280) for _ in range(rng.randrange(1, 30))] for s in sequences
    ]
    with torch.inference_mode():
        expected = [model(input_ids=torch.tensor([s])).logits[0] for s in sequences]
    runner = Runner(model, max_batch=4, pass_tokens=48)
    rows = [Row(list(s), (len(s) // 2, len(s) - 1)) for s in sequences]
    run(runner, rows)
    for row, logits in zip(rows, expected):
        for position in row.wanted:
            torch.testing.assert_close(
                row.outputs[position], logits[position], atol=2e-5, rtol=1e-4
            )
    assert runner.num_running == runner.num_waiting == 0


def test_a_model_still_works_outside_the_engine() -> None:
    model = causal_model()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        before = model(input_ids=ids).logits
    runner = Runner(model)
    run(runner, [Row([5, 6, 7], (2,))])
    with torch.inference_mode():
        torch.testing.assert_close(model(input_ids=ids).logits, before)


def test_tokens_are_fed_to_the_model_once() -> None:
    model = causal_model()
    fed: list[int] = []
    runner = Runner(model)
    model.get_input_embeddings().register_forward_hook(
        lambda _module, args, _out: fed.append(int((args[0] != 0).sum()))
    )
    tokens = list(range(10, 60))
    for end in (20, 30, 31, 50):
        run(runner, [Row(tokens[:end], (end - 1,))])
    run(runner, [Row(tokens[:30], (29,))])
    assert sum(fed) == 50
    assert runner.num_read_tokens == 50


def test_rows_that_read_the_same_wait_for_the_first() -> None:
    runner = Runner(causal_model())
    rows = [Row(list(range(10, 40)), (29,)) for _ in range(8)]
    run(runner, rows)
    assert runner.num_read_tokens == 30
    assert [row.num_cached for row in rows] == [0] + [30] * 7


def test_cancelling_the_first_wakes_the_others() -> None:
    runner = Runner(causal_model())
    rows = [Row(list(range(10, 40)), (29,)) for _ in range(3)]
    for row in rows:
        runner.submit(row)
    runner.admit()
    assert (runner.num_running, runner.num_waiting) == (1, 2)
    runner.cancel(rows[0])
    runner.cancel(rows[1])
    assert (runner.num_running, runner.num_waiting) == (0, 1)
    runner.admit()
    assert (runner.num_running, runner.num_waiting) == (1, 0)


def test_a_model_without_keys_and_values_is_refused() -> None:
    class NoCache(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, **_: object) -> None: ...

    with pytest.raises(ConfigError, match="no plain key/value cache"):
        Runner(NoCache())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bert", "gives other outputs in the engine than by itself"),
        ("gpt-j", "gives other outputs in the engine than by itself"),
        ("falcon", "cannot be run by the engine"),
        ("llama4", "attends in chunks of 16 tokens"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_models_that_would_give_other_outputs_are_refused(
    name: str, says: str, dtype: torch.dtype
) -> None:
    model = causal_model(name)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.5)
    with pytest.raises(ConfigError, match=says):
        Runner(model.to(dtype))


def test_a_model_that_gives_other_positions_than_asked_is_refused() -> None:
    model = causal_model()
    forward = model.forward

    def first_ones(*, logits_to_keep: Any = 0, **inputs: Any) -> Any:
        found = forward(**inputs)
        if not isinstance(logits_to_keep, int):
            found.logits = found.logits[:, : len(logits_to_keep)]
        return found

    model.forward = first_ones
    with pytest.raises(ConfigError, match="gives other outputs in the engine than by itself"):
        Runner(model)


def test_a_model_that_cannot_be_asked_for_positions_gives_all() -> None:
    model = causal_model()
    forward = model.forward

    def plain(
        input_ids: Any, position_ids: Any = None, past_key_values: Any = None, use_cache: Any = None
    ) -> Any:
        return forward(input_ids, None, position_ids, past_key_values, use_cache=use_cache)

    with torch.inference_mode():
        expected = forward(torch.tensor([[5, 6, 7, 8]])).logits[0]
    model.forward = plain
    row = Row([5, 6, 7, 8], (1, 3))
    run(Runner(model), [row])
    for position in row.wanted:
        torch.testing.assert_close(row.outputs[position], expected[position], atol=2e-5, rtol=1e-4)


WINDOWS = [
    ("qwen2-moe", {"use_sliding_window": True, "sliding_window": 24}),
    ("phimoe", {"sliding_window": 24}),
    ("doge", {"sliding_window": 24}),
]
"""Models that hide what is beyond the window by their mask alone."""


@pytest.mark.parametrize(("name", "options"), WINDOWS)
def test_a_window_that_attention_is_not_told_of_is_refused(
    name: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="a sliding window of 24 tokens in its mask alone"):
        Runner(causal_model(name, **options))


@pytest.mark.parametrize(("name", "options"), WINDOWS)
def test_a_window_as_long_as_the_context_is_none(name: str, options: dict[str, Any]) -> None:
    Runner(causal_model(name, **{**options, "sliding_window": 512}))


def test_a_window_that_is_switched_off_is_none() -> None:
    Runner(causal_model("qwen2-moe", use_sliding_window=False, sliding_window=24))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_half_precision_is_no_reason_to_refuse(name: str, dtype: torch.dtype) -> None:
    Runner(causal_model(name).to(dtype))


def test_slots_stay_within_their_bound() -> None:
    model = causal_model()
    runner = Runner(model, max_batch=64, max_batch_tokens=4096)
    cache = runner._cache
    rng = random.Random(0)
    for lengths in ([300] * 3, [20] * 64, [400], [50] * 40, [9]):
        sequences = [[rng.randrange(2, 280) for _ in range(length)] for length in lengths]
        rows = [Row(list(tokens), (len(tokens) - 1,)) for tokens in sequences]
        run(runner, rows)
        most = max(lengths) + 15  # a CPU's slots come in sixteens, as long as the longest row
        assert cache.num_slots * cache.length <= max(4096, 16 * most)
        with torch.inference_mode():
            expected = model(input_ids=torch.tensor(sequences[-1:])).logits[0, -1]
        found = rows[-1].outputs[rows[-1].wanted[0]]
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@given(
    st.lists(st.tuples(st.integers(1, 64), st.integers(1, 40)), min_size=1), st.integers(1, 9000)
)
def test_growing_gives_what_is_needed_and_no_more_than_the_bound(
    needs: list[tuple[int, int]], bound: int
) -> None:
    have = (0, 0)
    for slots, blocks in needs:
        need = (slots, blocks * LENGTH_STEP)
        if need[0] <= have[0] and need[1] <= have[1]:
            continue
        have = grown(have, need, 64, bound)
        assert have[0] >= need[0]
        assert have[1] >= need[1]
        assert have[1] % LENGTH_STEP == 0
        assert have == need or have[0] * have[1] <= bound


def test_more_threads_change_nothing() -> None:
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for batch in (1, 16):
                runner = Runner(causal_model(), max_batch=batch)
                rows = [
                    Row([*range(10, 20), 50 + n, *range(60, 62 + n)], (12 + n,)) for n in range(6)
                ]
                run(runner, rows)
                found.append([row.outputs[row.wanted[0]] for row in rows])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for outputs in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], outputs))


@pytest.mark.parametrize(("width", "kv_heads"), [(8, 4), (8, 2), (24, 4), (64, 3), (128, 4)])
def test_how_a_row_is_cut_into_passes_changes_nothing(width: int, kv_heads: int) -> None:
    """Head sizes where kernels for one token and for many are known to differ, and usual ones."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=12 if kv_heads == 3 else 4,
        num_key_value_heads=kv_heads,
        head_dim=width,
    )
    model = LlamaForCausalLM(config).eval()
    tokens = [2 + (7 * at * at) % 61 for at in range(150)]
    found = []
    for pass_tokens in (150, 33, 1):
        row = Row(tokens, (3, 60, 149))
        run(Runner(model, max_batch=1, pass_tokens=pass_tokens), [row])
        found.append([row.outputs[at] for at in row.wanted])
    for outputs in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], outputs))
