"""Builds a token classifier that begins by knowing how likely each token was.

A reward model on a language model's backbone must compare the token at t with what was predicted
for it at t-1. Small classifiers do not find this comparison by themselves: fresh layers on top of a
backbone that solves 85% of the problems still missed half of all first errors after 7M tokens. So
it is built in, as ordinary Llama weights: a wider residual stream keeps the backbone's own part,
the token's embedding, a copy of the prediction of the token before, and a few free dimensions; one
grafted layer copies the prediction from t-1 (attention by position alone) and multiplies it with
the embedding (SwiGLU computes products exactly: silu(g)u + silu(-g)(-u) = gu). The sum of the
products is the token's logit, which is its log-probability but for a constant where the backbone's
normaliser is constant (`lm_loss` in `lm.py`). Two more grafted layers have one built head each: one
marks the solution, the other looks at the step's least likely token. Trained are only the last
layer's MLP and the classes (`train_top_only`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

FREE_DIMENSIONS = 16
BACKBONE_SCALE = 0.03
"""Root mean square of the backbone's part of the stream at its end; the prediction's is 1, so
that the norms above the graft hardly change from token to token."""
EMBEDDING_SCALE = 0.02
"""Root mean square of the embedding's part: too little to disturb the backbone's norms."""
FEATURE_UNIT = 5.0
"""Logits per unit of the feature, so that it is about as large as the rest of the stream."""
DOUBT_SLOPE = 2.0
"""How much more the pooling attention looks at a token per nat that it is less likely."""
WINDOW = 6.0
"""How much it prefers tokens of the current step, by distance."""
SOLUTION_BONUS = 120.0
"""How much it prefers tokens of the solution to those of the question."""
SHARPNESS = 20.0
"""How strongly the grafted attention prefers the position before."""


def graft_classifier(
    language_model: Any,
    examples: Sequence[Sequence[int]],
    *,
    separator_id: int,
    num_labels: int = 3,
) -> Any:
    """Return a `LlamaForTokenClassification` on a Llama language model with tied embeddings.

    Args:
      language_model: a `LlamaForCausalLM`; is not changed.
      examples: tokens of some texts, from which sizes are measured.
      separator_id: the one token that ends the question and each step.
      num_labels: output classes.
    Raises:
      ValueError: the language model has biases or untied embeddings.
    """
    from transformers import LlamaConfig, LlamaForTokenClassification

    old = language_model.config
    if not old.tie_word_embeddings or old.attention_bias:
        raise ValueError("only a Llama with tied embeddings and without biases can be grafted on")
    # Shapes: D is the backbone's width (`narrow`), W = 3 D + 16 the new one's (`wide`), V the
    # vocabulary, I the size of an MLP; a linear layer's weight is [outputs, inputs].
    names = (
        ("negative", "neutral", "positive")
        if num_labels == 3
        else tuple(map(str, range(num_labels)))
    )
    fields = old.to_dict()
    fields.pop("architectures", None)
    fields.update(
        hidden_size=3 * old.hidden_size + FREE_DIMENSIONS,
        head_dim=old.head_dim,
        num_hidden_layers=old.num_hidden_layers + 3,
        attention_bias=True,  # scores by position alone are written into biases
        # the stream is shrunk (`BACKBONE_SCALE`), so the old epsilon would weigh more beside it
        rms_norm_eps=1e-16,
        tie_word_embeddings=False,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )
    model = LlamaForTokenClassification._from_config(
        LlamaConfig(**fields), attn_implementation="eager"
    )
    with torch.no_grad():
        rms = _hidden_rms(language_model.model, examples)
        _Graft(language_model.model, model.model, rms).build(separator_id)
    return model


def _hidden_rms(backbone: Any, examples: Sequence[Sequence[int]]) -> float:
    """Return the root mean square of the states before the final norm."""
    # the final norm divides each state by its own size; the graft can shrink by one number only
    caught: list[float] = []
    hook = backbone.norm.register_forward_pre_hook(
        lambda module, inputs: caught.append(float(inputs[0].square().mean()))
    )
    for tokens in examples:
        backbone(input_ids=torch.tensor([list(tokens)]))
    hook.remove()
    return math.sqrt(sum(caught) / len(caught))


def train_top_only(model: Any) -> None:
    """Freeze what was built; leave the last layer's MLP, the norms above it and the classes."""
    last = model.model.layers[-1]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for part in (last.mlp, last.post_attention_layernorm, model.model.norm, model.score):
        part.requires_grad_(True)


class _Graft:
    """Writes the weights; `wide` is the new stream's width, `narrow` the backbone's."""

    def __init__(self, backbone: Any, model: Any, hidden_rms: float) -> None:
        self.backbone, self.model = backbone, model
        self.narrow: int = backbone.config.hidden_size
        self.wide: int = model.config.hidden_size
        self.shrink = BACKBONE_SCALE / hidden_rms
        # A norm of W entries of which D are of unit size, and the rest are nearly 0, divides by
        # sqrt(D / W), not by 1: times `ratio` its result is that of a norm over the D alone.
        self.ratio = math.sqrt(self.narrow / self.wide)
        # The stream [W]: the backbone's states, the token's embedding, the prediction of the token
        # before (D each), then the free dimensions, three of which are written by the graft.
        self.own = slice(0, self.narrow)
        self.embedding = slice(self.narrow, 2 * self.narrow)
        self.prediction = slice(2 * self.narrow, 3 * self.narrow)
        self.feature = 3 * self.narrow
        self.pooled = self.feature + 1
        self.in_solution = self.feature + 2

    def build(self, separator_id: int) -> None:
        """Write all layers."""
        self.embed()
        depth = len(self.backbone.layers)
        for index in range(depth):
            self.widen(self.backbone.layers[index], self.model.layers[index])
        self.look_back(self.model.layers[depth])
        self.multiply(self.model.layers[depth])
        self.mark_solution(self.model.layers[depth + 1], separator_id)
        self.pool(self.model.layers[depth + 2], separator_id)

    def mark_solution(self, layer: Any, separator_id: int) -> None:
        """Write into the third free dimension whether a separator came before or stands here.

        One head that looks at separators only; the question ends with the first one.
        """
        self.start_fresh(layer)
        # The slowest rotary frequency hardly turns within a text, so that a score written along it
        # is the same at every distance; this query's length undoes the division by sqrt(head size).
        attention, slow = layer.self_attn, self.model.config.head_dim // 2 - 1
        probe = self.separator_probe(separator_id)
        self.clear_head(attention)
        attention.q_proj.bias[slow] = math.sqrt(self.model.config.head_dim)
        # A separator scores 15 and all else about 0: one in the context takes nearly all of the
        # head's attention, and the mean of values is 1; without one it is 0.
        attention.k_proj.weight[slow, self.embedding] = 15.0 * probe
        attention.v_proj.weight[0, self.embedding] = probe
        attention.o_proj.weight[self.in_solution, 0] = 1.0

    def pool(self, layer: Any, separator_id: int) -> None:
        """Write the feature of the step's least likely token into the second free dimension.

        One head: its scores grow as the feature falls, prefer near tokens, and leave out separators
        and the question, whose tokens the backbone never learned to expect.
        """
        self.start_fresh(layer)
        # this layer and its MLP, which is trained, read the free dimensions at their own size
        attention, size = layer.self_attn, self.model.config.head_dim
        free = slice(self.feature, self.feature + 3)
        layer.input_layernorm.weight[free] = self.ratio
        layer.post_attention_layernorm.weight[free] = self.ratio
        self.clear_head(attention)
        # What is looked for goes along the slowest frequency (as in `mark_solution`), nearness
        # along three faster ones: biases alone, which add WINDOW x cos(frequency x distance) each.
        root, slow, near = math.sqrt(size), size // 2 - 1, slice(4, 7)
        attention.q_proj.bias[slow] = root
        key = attention.k_proj.weight[slow]
        key[self.feature] = -DOUBT_SLOPE * FEATURE_UNIT
        # separators are in the solution too, and lose more than half of that bonus again
        key[self.in_solution] = SOLUTION_BONUS
        key[self.embedding] = -0.6 * SOLUTION_BONUS * self.separator_probe(separator_id)
        attention.q_proj.bias[near] = root * WINDOW
        attention.k_proj.bias[near] = 1.0
        attention.v_proj.weight[0, self.feature] = 1.0
        attention.o_proj.weight[self.pooled, 0] = 1.0

    def clear_head(self, attention: Any) -> None:
        """Empty the first head."""
        for name in "qkv":
            getattr(attention, f"{name}_proj").weight[: self.model.config.head_dim] = 0.0

    def separator_probe(self, separator_id: int) -> torch.Tensor:
        """Return a direction [D] that gives 1 for the separator's embedding, about 0 for others."""
        # Least squares over the vocabulary, [V, D] @ [D, 1] = [V, 1]. Where there are more tokens
        # than dimensions no direction fits all; the separator's own equation counts most.
        table = self.backbone.embed_tokens.weight
        table = table / table.square().mean().sqrt()
        weights = torch.ones(len(table), 1)
        target = torch.zeros(len(table), 1)
        weights[separator_id], target[separator_id] = 300.0, 1.0
        return torch.linalg.lstsq(table * weights, target * weights).solution[:, 0]

    def start_fresh(self, layer: Any) -> None:
        """Let a layer see every part of the stream at the same size, and write nothing yet."""
        # Each part is divided by the size at which it stands in the stream. The norm itself divides
        # by little more than the prediction's share, unit size in D of W entries: the rest is far
        # smaller, or in few entries.
        for name in ("input_layernorm", "post_attention_layernorm"):
            weight = getattr(layer, name).weight
            weight[self.own] = self.ratio / BACKBONE_SCALE
            weight[self.embedding] = self.ratio / (EMBEDDING_SCALE * self.shrink)
            weight[self.prediction] = self.ratio
        for part in (layer.self_attn.o_proj, layer.mlp.down_proj):
            torch.nn.init.zeros_(part.weight)

    def embed(self) -> None:
        """Give each token its embedding twice: to the backbone, and to keep."""
        old = self.backbone.embed_tokens.weight
        new = self.model.embed_tokens.weight
        new.zero_()
        new[:, self.own] = old * self.shrink
        new[:, self.embedding] = old / old.square().mean().sqrt() * EMBEDDING_SCALE * self.shrink

    def widen(self, old: Any, new: Any) -> None:
        """Copy a layer of the backbone; it reads and writes its own part of the stream."""
        for name in ("input_layernorm", "post_attention_layernorm"):
            weight = getattr(new, name).weight
            # the norm is free of scale, so the shrunk states give what the backbone's own give
            weight.zero_()
            weight[self.own] = getattr(old, name).weight * self.ratio
        for part, names in (("self_attn", "qkv"), ("mlp", ("gate", "up"))):
            for name in names:
                source = getattr(getattr(old, part), f"{name}_proj").weight
                target = getattr(getattr(new, part), f"{name}_proj")
                target.weight.zero_()
                target.weight[:, self.own] = source  # [.., D] into [.., W]
        for part, name in (("self_attn", "o_proj"), ("mlp", "down_proj")):
            # what is added to the stream is shrunk as the stream is
            target = getattr(getattr(new, part), name).weight
            target.zero_()
            target[self.own] = getattr(getattr(old, part), name).weight * self.shrink

    def look_back(self, layer: Any) -> None:
        """Copy the backbone's prediction from the position before.

        The prediction is the backbone's last hidden state, at unit size.

        Scores depend on the distance alone: biases q and k of equal size at every rotary frequency,
        q turned by one position, give the sum of cos(frequency x (distance - 1)).
        """
        # only the own part is read, at unit size: the final norm, but for its weight (`multiply`)
        norm = layer.input_layernorm.weight
        norm.zero_()
        norm[self.own] = self.ratio
        attention = layer.self_attn
        for name in "qkvo":
            getattr(attention, f"{name}_proj").weight.zero_()
        size = self.model.config.head_dim
        turn = self.model.rotary_emb.inv_freq
        # q times k is divided by sqrt(size): each of the size / 2 frequencies adds up to SHARPNESS
        amplitude = math.sqrt(SHARPNESS * math.sqrt(size))
        heads = self.narrow // size
        query = torch.cat([turn.cos(), -turn.sin()]) * amplitude
        key = torch.cat([torch.ones_like(turn), torch.zeros_like(turn)]) * amplitude
        attention.q_proj.bias.copy_(query.repeat(heads))
        attention.k_proj.bias.copy_(key.repeat(heads))
        # all heads attend alike, so together they copy the D states unchanged
        attention.v_proj.weight[:, self.own] = torch.eye(self.narrow)
        attention.o_proj.weight[self.prediction] = torch.eye(self.narrow)

    def multiply(self, layer: Any) -> None:
        """Write the token's logit, in units of `FEATURE_UNIT`, into the first free dimension."""
        # the prediction becomes what the output layer would read, the embedding is of unit size;
        # both are still too large by 1 / ratio, which `scale` takes back
        norm = layer.post_attention_layernorm.weight
        norm.zero_()
        norm[self.prediction] = self.backbone.norm.weight
        norm[self.embedding] = 1.0 / (EMBEDDING_SCALE * self.shrink)
        size = 2 * self.narrow
        if layer.mlp.gate_proj.weight.shape[0] < size:
            raise ValueError(f"the graft needs an intermediate size of at least {size}")
        mlp = layer.mlp
        for part in (mlp.gate_proj, mlp.up_proj, mlp.down_proj):
            part.weight.zero_()
        # I >= 2 D neurons: the i-th and the (D + i)-th together give g u of dimension i exactly
        eye = torch.eye(self.narrow)
        mlp.gate_proj.weight[:size, self.prediction] = torch.cat([eye, -eye])
        mlp.up_proj.weight[:size, self.embedding] = torch.cat([eye, -eye])
        # the sum over i of g u, with the embedding's own size back, is the tied output's logit
        scale = (
            self.backbone.embed_tokens.weight.square().mean().sqrt() * self.ratio**2 / FEATURE_UNIT
        )
        mlp.down_proj.weight[self.feature, :size] = scale
