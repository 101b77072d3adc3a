from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MixtralConfig,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)

from stepnav.train.labelled_only import LabelledOnly

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
CONFIGS = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES),
    "gemma2": Gemma2Config(**SIZES),
    "gpt2": GPT2Config(
        vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=64, pad_token_id=0
    ),
    "mixtral": MixtralConfig(**SIZES, num_local_experts=2, num_experts_per_tok=1),
    "qwen2_moe": Qwen2MoeConfig(
        **SIZES,
        num_experts=2,
        num_experts_per_tok=1,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
    ),
    "qwen3_moe": Qwen3MoeConfig(
        **SIZES, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16, mlp_only_layers=[0]
    ),
}
PLACES = torch.tensor([3, 10, 3, 17])  # in two rows of 12; one token has two labels


def gradients(model: Any, outputs: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (outputs * torch.linspace(0.1, 1.0, outputs.numel()).view_as(outputs)).sum().backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("loader", [AutoModelForCausalLM, AutoModelForTokenClassification])
def test_outputs_and_gradients_are_those_of_the_whole(name: str, loader: Any) -> None:
    torch.manual_seed(0)
    if (name, loader) == ("gpt2", AutoModelForTokenClassification):
        CONFIGS[name].classifier_dropout = 0.0
    model = loader.from_config(CONFIGS[name]).eval()
    inputs = {"input_ids": torch.randint(1, 40, (2, 12))}
    whole = model(**inputs).logits.flatten(0, 1)[PLACES]
    expected = gradients(model, whole)
    found = LabelledOnly.of(model).outputs(model, inputs, PLACES)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-5)
    after = gradients(model, found)
    assert after.keys() == expected.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(after[key], gradient, atol=1e-5, rtol=1e-4)
    # the model is left as it was
    torch.testing.assert_close(model(**inputs).logits.flatten(0, 1)[PLACES], whole)


def test_the_last_layer_and_the_vocabulary_see_labelled_tokens_only() -> None:
    model = AutoModelForCausalLM.from_config(CONFIGS["llama"])
    seen: dict[str, tuple[int, ...]] = {}
    layers = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.o_proj", "mlp.up_proj")
    names = [f"model.layers.{layer}.{part}" for layer in (0, 1) for part in layers]
    for name in (*names, "lm_head"):
        model.get_submodule(name).register_forward_hook(
            lambda _, args, output, name=name: seen.update({name: tuple(output.shape[:2])})
        )
    outputs = LabelledOnly.of(model).outputs(
        model, {"input_ids": torch.ones(2, 12, dtype=torch.long)}, PLACES
    )
    assert outputs.shape == (4, 40)
    whole, labelled = (2, 12), (1, 3)
    assert [seen[name] for name in names] == [whole] * 4 + [labelled, whole, labelled, labelled]
    assert seen["lm_head"] == (1, 4)


def test_experts_and_layers_that_are_computed_twice_are_left_alone() -> None:
    for name in ("mixtral", "qwen2_moe", "qwen3_moe"):
        assert not LabelledOnly.of(AutoModelForCausalLM.from_config(CONFIGS[name])).last_layer
    model = AutoModelForTokenClassification.from_config(CONFIGS["llama"])
    assert model.base_model.layers[-1].mlp in LabelledOnly.of(model).last_layer
    assert LabelledOnly.of(model).vocabulary is None
    model.gradient_checkpointing_enable()
    assert not LabelledOnly.of(model).last_layer
