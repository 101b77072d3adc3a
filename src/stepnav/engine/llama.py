"""A Llama decoder in torch alone, with the bits that `transformers` gives by our attention.

Importing `transformers` takes twice as long as importing torch, and the shipped models need nothing
of it. Operations and their order are those of its `LlamaForCausalLM` and
`LlamaForTokenClassification` (5.23), so that sums round alike. Only what `llama_folder` accepts is
run here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from stepnav.engine.attention import Plan, attend
from stepnav.engine.graphs import PassGraphs
from stepnav.engine.passes import Pass
from stepnav.engine.slots import CacheShape, SlotCache


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Sizes and settings, named as in a model's `config.json`; no `id2label` means no classes."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    attention_bias: bool
    tie_word_embeddings: bool
    eos_token_id: int | list[int] | None
    id2label: dict[int, str]

    @property
    def num_labels(self) -> int:
        """How many classes there are."""
        return len(self.id2label)

    def get_text_config(self) -> LlamaConfig:
        """Return itself; models of several kinds of input have one inside."""
        return self


class Llama(nn.Module):  # type: ignore[misc]
    """A language model, or a token classifier if the config has classes.

    It answers what the package asks of a `transformers` model: its config, device, parameters and
    embeddings.

    Args:
      config: sizes and settings.
      generation_config: the settings saved for writing text, None for none.

    Attributes:
      graphs: replays passes of single tokens; None computes each.
    """

    def __init__(self, config: LlamaConfig, generation_config: Any = None) -> None:
        super().__init__()
        self.config = config
        self.generation_config = generation_config
        self.graphs: PassGraphs | None = None
        self.model = _Decoder(config)
        if config.id2label:
            self.score = _Linear(config.hidden_size, config.num_labels)
        elif not config.tie_word_embeddings:
            self.lm_head = _Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, plan: Pass, cache: SlotCache) -> Any:
        """Return the outputs [K, C] at `plan.keep` of one pass."""
        states = None if self.graphs is None else self.graphs.states(plan, cache)
        if states is None:
            states = self.model(plan.ids[0], plan.positions[0], plan.attention, cache)
        if self.config.id2label:
            # a product has as many rows as in `transformers`, where all positions are asked for
            return self.score(states)[plan.keep]
        return functional.linear(states[plan.keep], self.get_output_embeddings().weight)

    @property
    def base_model(self) -> Any:
        """The model without its head."""
        return self.model

    @property
    def device(self) -> Any:
        """Where the weights are."""
        return self.model.embed_tokens.weight.device

    @property
    def shape(self) -> CacheShape:
        """What one token leaves in the cache."""
        config, weight = self.config, self.model.embed_tokens.weight
        return CacheShape(
            config.num_hidden_layers,
            config.num_key_value_heads,
            config.head_dim,
            weight.dtype,
            weight.device,
        )

    def get_input_embeddings(self) -> Any:
        """Return the table of input embeddings."""
        return self.model.embed_tokens

    def get_output_embeddings(self) -> Any:
        """Return the output layer, which may be that table; None for a classifier."""
        if self.config.id2label:
            return None
        return self.model.embed_tokens if self.config.tie_word_embeddings else self.lm_head


# Shapes below: N packed tokens, W width of the stream, H query heads, G kv heads, D head size.


class _Linear(nn.Linear):  # type: ignore[misc]
    def reset_parameters(self) -> None:
        """Leave the weights: they come from a file, and drawing them imports torch's compiler."""


class _Embedding(nn.Embedding):  # type: ignore[misc]
    def reset_parameters(self) -> None:
        """Leave the weights, as above."""


class _Decoder(nn.Module):  # type: ignore[misc]
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        # made on the CPU, wherever the model will be: devices round powers in their own ways
        steps = torch.arange(0, config.head_dim, 2, dtype=torch.float, device="cpu")
        frequencies = 1.0 / (config.rope_theta ** (steps / config.head_dim))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.embed_tokens = _Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config, at) for at in range(config.num_hidden_layers))
        self.norm = _Norm(config)

    def forward(self, ids: Any, positions: Any, plan: Plan, cache: SlotCache) -> Any:
        """Return the last states [N, W]."""
        states = self.embed_tokens(ids)
        turn = _rotations(positions, self.frequencies, states.dtype)
        for layer in self.layers:
            states = layer(states, turn, plan, cache)
        return self.norm(states)


class _Layer(nn.Module):  # type: ignore[misc]
    def __init__(self, config: LlamaConfig, index: int) -> None:
        super().__init__()
        self.self_attn = _Attention(config, index)
        self.mlp = _MLP(config)
        self.input_layernorm = _Norm(config)
        self.post_attention_layernorm = _Norm(config)

    def forward(self, states: Any, turn: Any, plan: Plan, cache: SlotCache) -> Any:
        states = states + self.self_attn(self.input_layernorm(states), turn, plan, cache)
        return states + self.mlp(self.post_attention_layernorm(states))


class _Attention(nn.Module):  # type: ignore[misc]
    def __init__(self, config: LlamaConfig, index: int) -> None:
        super().__init__()
        self.index, self.head_dim = index, config.head_dim
        width, bias = config.hidden_size, config.attention_bias
        queries = config.num_attention_heads * config.head_dim
        keys = config.num_key_value_heads * config.head_dim
        self.q_proj = _Linear(width, queries, bias=bias)
        self.k_proj = _Linear(width, keys, bias=bias)
        self.v_proj = _Linear(width, keys, bias=bias)
        self.o_proj = _Linear(queries, width, bias=bias)

    def forward(self, states: Any, turn: Any, plan: Plan, cache: SlotCache) -> Any:
        heads = (len(states), -1, self.head_dim)
        queries = self.q_proj(states).view(heads)
        keys = self.k_proj(states).view(heads)
        queries, keys = _both_rotated(queries, keys, *turn)
        values = self.v_proj(states).view(heads)
        all_keys, all_values = cache.update(self.index, plan.write, keys, values)
        result = attend(plan, queries, all_keys, all_values, scale=self.head_dim**-0.5)
        return self.o_proj(result.reshape(len(states), -1))


class _MLP(nn.Module):  # type: ignore[misc]
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.gate_proj = _Linear(width, inner, bias=False)
        self.up_proj = _Linear(width, inner, bias=False)
        self.down_proj = _Linear(inner, width, bias=False)

    def forward(self, states: Any) -> Any:
        return self.down_proj(functional.silu(self.gate_proj(states)) * self.up_proj(states))


class _Norm(nn.Module):  # type: ignore[misc]
    """Division by the root mean square, in float32 (Zhang and Sennrich 2019)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.hidden_size))
        self.eps = config.rms_norm_eps

    def forward(self, states: Any) -> Any:
        if states.device.type != "cpu":  # one call; rounds once, where the lines below do twice
            return functional.rms_norm(states, self.weight.shape, self.weight, self.eps)
        wide = states.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(states.dtype)


def _rotations(positions: Any, frequencies: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the cosines and sines [N, 1, D] of each position's rotation (Su et al. 2021)."""
    angles = positions[:, None].float() * frequencies
    angles = torch.cat((angles, angles), dim=-1)[:, None]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _rotated(vectors: Any, cosines: Any, sines: Any) -> Any:
    """Return vectors [N, heads, D] turned by their positions."""
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cosines + torch.cat((-second, first), dim=-1) * sines


def _both_rotated(queries: Any, keys: Any, cosines: Any, sines: Any) -> Any:
    """Return queries and keys turned; on a GPU together, where calls cost more than copies."""
    if queries.device.type == "cpu":
        return _rotated(queries, cosines, sines), _rotated(keys, cosines, sines)
    counts = (queries.shape[1], keys.shape[1])
    return _rotated(torch.cat((queries, keys), 1), cosines, sines).split(counts, 1)
