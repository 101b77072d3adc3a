"""Builds a token classifier that begins by knowing how likely each token was.

A reward model on a language model's backbone must compare the token at t with what was predicted
for it at t-1. Small classifiers do not find this comparison by themselves: fresh layers on top of a
backbone that solves 85% of the problems still missed half of all first errors after 7M tokens. So
it is built in, as ordinary Llama weights: a wider residual stream keeps the backbone's own part,
the token's embedding, a copy of the prediction of the token before, and a few free dimensions; one
grafted layer copies the prediction from t-1 (attention by position alone) and multiplies it with
the embedding (SwiGLU computes products exactly: silu(g)u + silu(-g)(-u) = gu). The sum of the
products is the token's logit, which is its log-probability but for a constant where the backbone's
normaliser is constant (`lm_loss` in `lm.py`). Two more grafted layers have built heads: one marks
the solution and counts its steps, the other looks at the least likely token of the step at hand.
One ordinary layer follows. Trained are only that layer, the MLP below it and the classes
(`train_top_only`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from stepnav.zoo.training.step_heads import FEATURE_UNIT, Stream, build_step_heads

FREE_DIMENSIONS = 16
BACKBONE_SCALE = 0.03
"""Root mean square of the backbone's part of the stream at its end; the prediction's is 1, so
that the norms above the graft hardly change from token to token."""
EMBEDDING_SCALE = 0.02
"""Root mean square of the embedding's part: too little to disturb the backbone's norms."""
SHARPNESS = 20.0
"""How strongly the grafted attention prefers the position before."""

NEGATIVE_SLOPE = 0.8
"""Logits of the negative class, before training, per nat that the step's tokens are less likely."""
NEGATIVE_FROM = 1.5
"""Nats from which on a step is negative before training."""


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
        num_hidden_layers=old.num_hidden_layers + 4,
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
        graft = _Graft(language_model.model, model.model, separator_id)
        graft.build(*_measure(language_model, examples, separator_id))
        graft.begin_classes(model.score)
    return model


def _measure(
    language_model: Any, examples: Sequence[Sequence[int]], separator_id: int
) -> tuple[float, float]:
    """Return the root mean square of the states before the final norm, and the log-normaliser.

    The latter is a mean over the solutions, for whose tokens the backbone made it constant.
    """
    # the final norm divides each state by its own size; the graft can shrink by one number only
    squares: list[float] = []
    normalisers: list[torch.Tensor] = []
    hook = language_model.model.norm.register_forward_pre_hook(
        lambda module, inputs: squares.append(float(inputs[0].square().mean()))
    )
    for tokens in examples:
        logits = language_model(input_ids=torch.tensor([list(tokens)])).logits[0]
        normalisers.append(logits[list(tokens).index(separator_id) : -1].logsumexp(-1))
    hook.remove()
    return math.sqrt(sum(squares) / len(squares)), float(torch.cat(normalisers).mean())


def train_top_only(model: Any) -> None:
    """Freeze what was built; leave the pooling layer's MLP and all that is above it."""
    pool, last = model.model.layers[-2:]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for part in (pool.mlp, pool.post_attention_layernorm, last, model.model.norm, model.score):
        part.requires_grad_(True)


class _Graft:
    """Writes the weights; `wide` is the new stream's width, `narrow` the backbone's."""

    def __init__(self, backbone: Any, model: Any, separator_id: int) -> None:
        self.backbone, self.model, self.separator_id = backbone, model, separator_id
        self.narrow: int = backbone.config.hidden_size
        self.wide: int = model.config.hidden_size
        # A norm of W entries of which D are of unit size, and the rest are nearly 0, divides by
        # sqrt(D / W), not by 1: times `ratio` its result is that of a norm over the D alone.
        self.ratio = math.sqrt(self.narrow / self.wide)
        self.stream = Stream(self.narrow)

    def build(self, hidden_rms: float, normaliser: float) -> None:
        """Write all layers, given the backbone's measures."""
        self.shrink = BACKBONE_SCALE / hidden_rms
        self.embed()
        depth = len(self.backbone.layers)
        for index in range(depth):
            self.widen(self.backbone.layers[index], self.model.layers[index])
        self.look_back(self.model.layers[depth])
        self.multiply(self.model.layers[depth])
        # from here on the feature is the token's log-probability: about 0 where it was sure, so
        # that the norms, which divide by a little more or less, do not blur it
        self.model.layers[depth + 1].self_attn.o_proj.bias[self.stream.feature] = (
            -normaliser / FEATURE_UNIT
        )
        marks, pool, last = self.model.layers[depth + 1 :]
        for layer in (marks, pool, last):
            self.start_fresh(layer)
        for norm in (
            pool.post_attention_layernorm,
            last.input_layernorm,
            last.post_attention_layernorm,
        ):
            # What is trained writes into every part. Read at the embedding's scale, the first
            # updates would be blown up 100,000 times.
            norm.weight[self.stream.embedding] = self.ratio
        self.model.norm.weight[self.stream.own] = 1.0 / BACKBONE_SCALE
        build_step_heads(
            marks,
            pool,
            stream=self.stream,
            separator=self.probe(self.separator_id),
            first=self.probe(self.model.config.bos_token_id),
            head_size=self.model.config.head_dim,
        )

    def begin_classes(self, score: Any) -> None:
        """Let the first class, negative, be that of a step with an unlikely token.

        Both the step's least likely token and the one at hand count; the final norm has divided
        the stream by `ratio`. Small weights would take thousands of updates to grow this far.
        """
        slope = NEGATIVE_SLOPE * FEATURE_UNIT * self.ratio
        score.weight[0] = 0.0
        score.weight[0, [self.stream.clipped, self.stream.pooled]] = -slope
        score.bias.zero_()
        score.bias[0] = -NEGATIVE_SLOPE * NEGATIVE_FROM

    def probe(self, token_id: int) -> torch.Tensor:
        """Return a direction [D] that gives 1 for a token's embedding, about 0 for others."""
        # Least squares over the vocabulary, [V, D] @ [D, 1] = [V, 1]. Where there are more tokens
        # than dimensions no direction fits all; those of the two tokens that are probed for count
        # most. In single precision the last bits hang on where the tables lie in memory, so that
        # two runs of one seed would train apart.
        table = self.backbone.embed_tokens.weight.double()
        table = table / table.square().mean().sqrt()
        weights, target = torch.ones_like(table[:, :1]), torch.zeros_like(table[:, :1])
        weights[[self.separator_id, self.model.config.bos_token_id]] = 300.0
        target[token_id] = 1.0
        return torch.linalg.lstsq(table * weights, target * weights).solution[:, 0].float()

    def start_fresh(self, layer: Any) -> None:
        """Let a layer see every part of the stream at the same size, and write nothing yet."""
        # Each part is divided by the size at which it stands in the stream. The norm itself divides
        # by little more than the prediction's share, unit size in D of W entries: the rest is far
        # smaller, or in few entries.
        for name in ("input_layernorm", "post_attention_layernorm"):
            weight = getattr(layer, name).weight
            weight[self.stream.own] = self.ratio / BACKBONE_SCALE
            weight[self.stream.embedding] = self.ratio / (EMBEDDING_SCALE * self.shrink)
            weight[self.stream.prediction] = weight[self.stream.feature :] = self.ratio
        for part in (layer.self_attn.o_proj, layer.mlp.down_proj):
            torch.nn.init.zeros_(part.weight)

    def embed(self) -> None:
        """Give each token its embedding twice: to the backbone, and to keep."""
        old = self.backbone.embed_tokens.weight
        new = self.model.embed_tokens.weight
        new.zero_()
        new[:, self.stream.own] = old * self.shrink
        new[:, self.stream.embedding] = (
            old / old.square().mean().sqrt() * EMBEDDING_SCALE * self.shrink
        )

    def widen(self, old: Any, new: Any) -> None:
        """Copy a layer of the backbone; it reads and writes its own part of the stream."""
        for name in ("input_layernorm", "post_attention_layernorm"):
            weight = getattr(new, name).weight
            # the norm is free of scale, so the shrunk states give what the backbone's own give
            weight.zero_()
            weight[self.stream.own] = getattr(old, name).weight * self.ratio
        for part, names in (("self_attn", "qkv"), ("mlp", ("gate", "up"))):
            for name in names:
                source = getattr(getattr(old, part), f"{name}_proj").weight
                target = getattr(getattr(new, part), f"{name}_proj")
                target.weight.zero_()
                target.weight[:, self.stream.own] = source  # [.., D] into [.., W]
        for part, name in (("self_attn", "o_proj"), ("mlp", "down_proj")):
            # what is added to the stream is shrunk as the stream is
            target = getattr(getattr(new, part), name).weight
            target.zero_()
            target[self.stream.own] = getattr(getattr(old, part), name).weight * self.shrink

    def look_back(self, layer: Any) -> None:
        """Copy the backbone's prediction from the position before.

        The prediction is the backbone's last hidden state, at unit size.

        Scores depend on the distance alone: biases q and k of equal size at every rotary frequency,
        q turned by one position, give the sum of cos(frequency x (distance - 1)).
        """
        # only the own part is read, at unit size: the final norm, but for its weight (`multiply`)
        norm = layer.input_layernorm.weight
        norm.zero_()
        norm[self.stream.own] = self.ratio
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
        attention.v_proj.weight[:, self.stream.own] = torch.eye(self.narrow)
        attention.o_proj.weight[self.stream.prediction] = torch.eye(self.narrow)

    def multiply(self, layer: Any) -> None:
        """Write the token's logit, in units of `FEATURE_UNIT`, into the first free dimension."""
        # the prediction becomes what the output layer would read, the embedding is of unit size;
        # both are still too large by 1 / ratio, which `scale` takes back
        norm = layer.post_attention_layernorm.weight
        norm.zero_()
        norm[self.stream.prediction] = self.backbone.norm.weight
        norm[self.stream.embedding] = 1.0 / (EMBEDDING_SCALE * self.shrink)
        size = 2 * self.narrow
        if layer.mlp.gate_proj.weight.shape[0] < size:
            raise ValueError(f"the graft needs an intermediate size of at least {size}")
        mlp = layer.mlp
        for part in (mlp.gate_proj, mlp.up_proj, mlp.down_proj):
            part.weight.zero_()
        # I >= 2 D neurons: the i-th and the (D + i)-th together give g u of dimension i exactly
        eye = torch.eye(self.narrow)
        mlp.gate_proj.weight[:size, self.stream.prediction] = torch.cat([eye, -eye])
        mlp.up_proj.weight[:size, self.stream.embedding] = torch.cat([eye, -eye])
        # the sum over i of g u, with the embedding's own size back, is the tied output's logit
        scale = (
            self.backbone.embed_tokens.weight.square().mean().sqrt() * self.ratio**2 / FEATURE_UNIT
        )
        mlp.down_proj.weight[self.stream.feature, :size] = scale
