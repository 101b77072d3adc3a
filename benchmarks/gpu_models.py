"""The models of benchmarks/gpu.py: the same weights for the engine and for transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig
from transformers.utils import logging

from engine import ZOO
from stepnav.engine.checkpoint.loading import load_model
from stepnav.engine.llama import Llama
from stepnav.engine.llama import LlamaConfig as OwnConfig

logging.disable_progress_bar()

RANDOM = "llama-1b"
"""A random Llama of the shape of Llama-3.2-1B."""

SHAPE = {
    "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
}  # fmt: skip
SMALL_SHAPE = SHAPE | {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 2048,
}  # fmt: skip


def folder_of(name: str) -> Path:
    """Return a model's folder; the random one has the shipped tokenizer."""
    return ZOO / "arithmetic-policy" if name in ("arithmetic", RANDOM) else Path(name)


def tokenizer_of(name: str) -> Any:
    """Return a model's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(folder_of(name))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def plain(name: str, device: str, dtype: Any, *, small: bool) -> Any:
    """Return transformers' model."""
    if name != RANDOM:
        model = AutoModelForCausalLM.from_pretrained(folder_of(name), dtype=dtype)
        return model.to(device).eval()
    torch.manual_seed(0)
    shape = SMALL_SHAPE if small else SHAPE
    config = LlamaConfig(**shape, tie_word_embeddings=True, max_position_embeddings=4096)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def ours(name: str, device: str, dtype: Any, *, small: bool) -> Any:
    """Return the engine's model, with the same weights."""
    if name != RANDOM:
        words = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
        return load_model(folder_of(name), "causal", device=device, dtype=words[dtype])
    source = plain(name, device, dtype, small=small)
    config = source.config
    own = OwnConfig(
        config.vocab_size, config.hidden_size, config.intermediate_size,
        config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads,
        config.head_dim, config.max_position_embeddings, config.rms_norm_eps,
        config.rope_parameters["rope_theta"], False, True, None, {},
    )  # fmt: skip
    with torch.device("meta"):
        model = Llama(own)
    weights = {name: w for name, w in source.state_dict().items() if name != "lm_head.weight"}
    model.load_state_dict(weights, assign=True)
    model.model.frequencies = model.model.frequencies.to(device)
    return model.requires_grad_(False).eval()
