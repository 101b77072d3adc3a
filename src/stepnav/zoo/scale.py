"""How large the recipe for the shipped models is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Sizes of every stage of the recipe.

    Attributes:
      vocab_size: entries of the tokenizer.
      tokenizer_problems: training problems that the tokenizer is trained on.
      width, layers, heads: the language model.
      lm_problems: training problems with reference solutions.
      lm_tokens: tokens that the language model is trained on.
      learned_questions: share of those whose question is learned too, so that the model knows how
        likely a question is.
      lm_batch_tokens: tokens of one of its batches.
      packed_width: rows of this width hold several examples each; None gives every example a row.
      snapshot_tokens: a candidate policy is saved each time so many tokens are done.
      policy_tokens: the snapshot that becomes the policy; `lm_tokens` for the finished model.
      policy_dtype: what its weights are saved in.
      label_problems: training problems whose labelled solutions the PRM learns from.
      shard_problems: so many of them are labelled at a time, and kept in one file.
      samples_per_problem: solutions sampled for each.
      temperatures: sampling temperatures, one per sample in turn.
      normalise_tokens: tokens on which the language model's normaliser is made constant.
      normalise_weight: weight of that loss.
      search_problems: more training problems; the labels of their searches make a second PRM, by a
        first one that learnt from samples on a quarter of the tokens. 0 leaves the first one's.
      prm_tokens: tokens that the PRM is trained on.
      prm_dropout: of what its classes are read from.
      prm_batch_tokens: tokens of one of its batches.
      prm_negative_weight: weight of the negative class in the loss, for tasks with few errors.
      prm_negative_bias, prm_neutral_bias: added to two classes' logits after training, chosen on
        the dev split: a missed error costs a search more than a step drawn again.
      eval_problems: test problems of the final evaluation.
      eval_samples: sampled solutions per problem there, for pass@k and the gate.
      compile: whether training is compiled where a compiler is.
    """

    vocab_size: int = 1024
    tokenizer_problems: int = 4000
    width: int = 128
    layers: int = 3
    heads: int = 4
    lm_problems: int = 190_000
    lm_tokens: int = 28_000_000
    learned_questions: float = 0.0
    lm_batch_tokens: int = 6144
    packed_width: int | None = None
    snapshot_tokens: int = 1_000_000
    policy_tokens: int = 17_000_000
    policy_dtype: str = "float32"
    label_problems: int = 10_000
    shard_problems: int = 5000
    samples_per_problem: int = 3
    temperatures: tuple[float, ...] = (1.0, 1.0, 0.7)
    normalise_tokens: int = 1_570_000
    normalise_weight: float = 0.05
    search_problems: int = 6000
    prm_tokens: int = 8_000_000
    prm_dropout: float = 0.0
    prm_batch_tokens: int = 2048
    prm_negative_weight: float = 1.0
    prm_negative_bias: float = 0.0
    prm_neutral_bias: float = 0.0
    eval_problems: int = 500
    eval_samples: int = 16
    compile: bool = True


TINY = Scale(
    vocab_size=400,
    tokenizer_problems=100,
    width=32,
    layers=1,
    heads=2,
    lm_problems=60,
    lm_tokens=20_000,
    lm_batch_tokens=2048,
    snapshot_tokens=5_000,
    policy_tokens=10_000,
    label_problems=8,
    shard_problems=5,
    samples_per_problem=2,
    normalise_tokens=4_000,
    search_problems=2,
    prm_tokens=4_000,
    prm_batch_tokens=1024,
    eval_problems=4,
    eval_samples=2,
    compile=False,
)
"""Runs every stage in seconds and makes useless models; for tests."""
