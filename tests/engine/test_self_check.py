"""What is tried of a model when it is opened."""

from __future__ import annotations

import pytest
import torch

from stepnav.core.errors import BackendDown
from stepnav.core.requests import Complete
from stepnav.engine.checkpoint.loading import context_length
from stepnav.engine.runner import Runner
from stepnav.engine.self_check import are_alike
from stepnav.policies.local import LocalPolicy
from tests.engine.small_models import causal_model, prefix, tokenizer


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_known_by_the_weights(dtype: torch.dtype) -> None:
    """Some models give float32 outputs whatever their weights are."""
    model = causal_model("qwen2").to(dtype)
    model.lm_head.register_forward_hook(lambda module, given, made: made.float())
    Runner(model)
    expected = torch.randn(12, 50)
    assert are_alike(model, expected * 1.01, expected)
    assert not are_alike(model.float(), expected * 1.01, expected)


def test_whispers_positions_are_known_by_their_own_name() -> None:
    from transformers import WhisperConfig, WhisperForCausalLM

    sizes = dict.fromkeys(("encoder_layers", "decoder_layers"), 2)
    heads = dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    config = WhisperConfig(
        vocab_size=len(tokenizer()), d_model=16, decoder_ffn_dim=16, encoder_ffn_dim=16,
        max_target_positions=64, pad_token_id=1, bos_token_id=0, eos_token_id=1, **sizes, **heads,
    )  # fmt: skip
    assert context_length(WhisperForCausalLM(config)) == 64


@pytest.mark.parametrize("error", [IndexError("index out of range"), ValueError("no such size")])
def test_a_model_that_fails_in_a_pass_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    backend = LocalPolicy(causal_model(), tokenizer())
    monkeypatch.setattr(backend.runner, "forward", fail)
    backend.submit(0, Complete(prefix(), seed=1))
    with pytest.raises(BackendDown, match="the local model failed"):
        backend.poll(0.5)


@pytest.mark.parametrize(
    ("name", "dtype", "told"),
    [("gpt-oss", "float32", 1), ("gpt-oss", "bfloat16", 0), ("qwen2", "float32", 0)],
)
def test_that_experts_depend_on_the_batch_is_told(
    name: str, dtype: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    Runner(causal_model(name).to(getattr(torch, dtype)))
    assert caplog.text.count("mixture of experts") == told
