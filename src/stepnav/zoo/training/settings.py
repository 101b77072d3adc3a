"""How the shipped models are trained: sizes, rates, and how the rate changes.

The rate warms up, stays, and decays linearly to zero at the end (warmup-stable-decay, Hu et al.
2024, arXiv 2404.06395), so that a checkpoint from the middle is usable and a run can be made
longer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings:
    """How to train.

    Attributes:
      total_tokens: train on this many tokens, padding not counted, going over the data as often as
        that takes.
      batch_tokens: tokens of one batch, padding counted.
      accumulate: batches per step of the optimisers. Batches hold examples of one length, and where
        length tells the label, one batch is a skewed sample.
      muon_rate, adamw_rate: peak learning rates of the two optimisers; without the first, AdamW
        trains all.
      weight_decay: decoupled decay of the hidden matrices.
      warmup_tokens: linear warmup.
      decay_fraction: share of `total_tokens` over which the rate falls to zero.
      max_grad_norm: gradients are clipped to this norm.
      seed: orders the data and seeds torch.
      compile: compile the model when a compiler is there.
      bfloat16: compute in bfloat16 where autocast does; the weights stay in full precision.
      checkpoint_s: seconds between checkpoints.
      log_steps: steps between log lines.
      snapshot_tokens: token counts at which `on_snapshot` is called.
    """

    total_tokens: int
    batch_tokens: int = 8192
    accumulate: int = 1
    muon_rate: float | None = 0.02
    adamw_rate: float = 3e-3
    weight_decay: float = 0.01
    warmup_tokens: int = 200_000
    decay_fraction: float = 0.3
    max_grad_norm: float = 1.0
    seed: int = 0
    compile: bool = True
    bfloat16: bool = True
    checkpoint_s: float = 60.0
    log_steps: int = 50
    snapshot_tokens: tuple[int, ...] = ()

    def rate_factor(self, tokens: int) -> float:
        """Return the share of the peak rate after `tokens` tokens."""
        warm = min(1.0, (tokens + 1) / max(1, self.warmup_tokens))
        left = (self.total_tokens - tokens) / max(1.0, self.decay_fraction * self.total_tokens)
        return max(0.0, min(warm, left))
