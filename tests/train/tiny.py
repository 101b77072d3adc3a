"""A small random language model and its tokenizer in a folder, for training tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = [
    "step",
    "wrong",
    "right",
    "so",
    "then",
    "we",
    "have",
    "add",
    "two",
    "three",
    "four",
    "x",
    "y",
    "=",
    "+",
    "is",
    "answer",
    "what",
    ".",
    "\n",
]


def save_tiny_lm(
    folder: Path, *, layers: int = 2, architecture: str = "llama", **options: Any
) -> Path:
    """Save a random causal language model that `AutoModel*` classes load, with a word tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        AutoModelForCausalLM,
        BertConfig,
        GPT2Config,
        LlamaConfig,
        MistralConfig,
        PreTrainedTokenizerFast,
        Qwen2Config,
    )

    vocab = {word: n for n, word in enumerate(["<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    kinds = {
        "llama": LlamaConfig,
        "qwen2": Qwen2Config,
        "mistral": MistralConfig,
        "gpt2": GPT2Config,
        "bert": BertConfig,
    }
    config = kinds[architecture](
        vocab_size=len(vocab), hidden_size=32, intermediate_size=64, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, bos_token_id=1, eos_token_id=2,
        **{"max_position_embeddings": 512, **options},
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
