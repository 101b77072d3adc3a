"""Small random models of several architectures, and a BPE tokenizer whose tokens straddle
newlines."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from stepnav.core.records import Problem, Step, Trajectory

TEXT = (
    "Tom has 3 apples and buys 4 more.\nHow many apples has he?\n3 + 4 = 7.\nHe has 7 apples.\n\n"
    "#### 7\nAnn sold 12 eggs at 2 dollars.\n12 * 2 = 24.\nShe has 24 dollars.\n#### 24\n"
)


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    """Return a byte-level BPE tokenizer with tokens such as ".\\n" and "\\n\\n"."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=4,
    )
    backend.train_from_iterator(TEXT.splitlines(keepends=True) * 3 + ["\n\n", ".\n"] * 9, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        clean_up_tokenization_spaces=False,
    )


def _config(name: str, **extra: Any) -> Any:
    import transformers

    vocab_size = len(tokenizer())
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    common = {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        **ends,
    }
    llama = {**common, "num_key_value_heads": 2}
    configs = {
        "llama": lambda: transformers.LlamaConfig(**llama, **extra),
        "llama-mha": lambda: transformers.LlamaConfig(**common, num_key_value_heads=4, **extra),
        "qwen2": lambda: transformers.Qwen2Config(**llama, **extra),
        "qwen3": lambda: transformers.Qwen3Config(**llama, head_dim=16, **extra),
        "gpt-neox": lambda: transformers.GPTNeoXConfig(**common, **extra),
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=vocab_size, n_embd=32, n_layer=2, n_head=4, n_positions=512, **ends, **extra
        ),
        "mistral-window": lambda: transformers.MistralConfig(**llama, sliding_window=24, **extra),
        "gemma2": lambda: transformers.Gemma2Config(
            **llama, head_dim=8, sliding_window=24, **extra
        ),
        "gemma3": lambda: transformers.Gemma3TextConfig(
            **llama, head_dim=8, sliding_window=24, **extra
        ),
        "gpt-oss": lambda: transformers.GptOssConfig(
            **llama,
            head_dim=8,
            sliding_window=24,
            num_local_experts=2,
            num_experts_per_tok=1,
            **extra,
        ),
        "bert": lambda: transformers.BertConfig(**common, **extra),
        "bert-decoder": lambda: transformers.BertConfig(**common, is_decoder=True, **extra),
        "whisper": lambda: transformers.WhisperConfig(
            vocab_size=vocab_size,
            d_model=32,
            decoder_layers=2,
            decoder_attention_heads=4,
            decoder_ffn_dim=64,
            encoder_layers=1,
            encoder_attention_heads=4,
            encoder_ffn_dim=64,
            **ends,
            **extra,
        ),
        "falcon": lambda: transformers.FalconConfig(**common, **extra),
        "gpt-j": lambda: transformers.GPTJConfig(
            vocab_size=vocab_size, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, **ends, **extra
        ),
        "phi3-longrope": lambda: transformers.Phi3Config(
            **llama,
            original_max_position_embeddings=64,
            rope_parameters={
                "rope_type": "longrope",
                "rope_theta": 1e4,
                "factor": 8.0,
                "short_factor": [1.0] * 4,
                "long_factor": [1.0, 2.0, 4.0, 8.0],
            },
            **extra,
        ),
        "qwen2-moe": lambda: transformers.Qwen2MoeConfig(
            **llama,
            num_experts=2,
            num_experts_per_tok=1,
            moe_intermediate_size=16,
            shared_expert_intermediate_size=16,
            max_window_layers=2,
            **extra,
        ),
        "phimoe": lambda: transformers.PhimoeConfig(
            **llama, num_local_experts=2, num_experts_per_tok=2, **extra
        ),
        "doge": lambda: transformers.DogeConfig(**llama, **extra),
        "llama4": lambda: transformers.Llama4TextConfig(
            **llama, head_dim=8, attention_chunk_size=16, moe_layers=[], **extra
        ),
    }
    return configs[name]()


ARCHITECTURES = (
    "llama",
    "llama-mha",
    "qwen2",
    "qwen3",
    "gpt-neox",
    "gpt2",
    "mistral-window",
    "gemma2",
    "gemma3",
    "gpt-oss",
    "bert-decoder",
    "whisper",
)
"""Kinds that the engine runs; the last takes `logits_to_keep` and heeds it not."""


def causal_model(name: str = "llama", *, seed: int = 0, **extra: Any) -> Any:
    """Return a random causal model that writes varied text with newlines now and then."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(_config(name, **extra)).eval()
    with torch.no_grad():
        for parameter in model.get_input_embeddings().parameters():
            parameter.normal_(std=0.5)
        for name, parameter in model.named_parameters():
            if name.endswith("sinks"):
                parameter.normal_()
    return model


def class_model(name: str = "llama", *, num_labels: int = 3, seed: int = 1, **extra: Any) -> Any:
    """Return a random token-classification model."""
    import torch
    from transformers import AutoModelForTokenClassification

    torch.manual_seed(seed)
    config = _config(name, num_labels=num_labels, **extra)
    model = AutoModelForTokenClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return model


def prefix(index: int = 0, *steps: str) -> Trajectory:
    """Return a trajectory of a made-up problem."""
    question = f"Ann has {index} eggs and buys {3 * index + 1} more" + " and more" * (index % 5)
    problem = Problem(f"p{index}", question + ".")
    return Trajectory(problem, tuple(Step(text) for text in steps))


def poll_all(backend: Any, num_answers: int) -> dict[int, Any]:
    """Return ticket -> answer once so many have come."""
    answers: dict[int, Any] = {}
    for _ in range(100_000):
        answers.update(backend.poll(0.5))
        if len(answers) == num_answers:
            return answers
    raise AssertionError(f"{len(answers)} of {num_answers} answers came")
