"""`stepnav train sft`: fine-tuning of a policy."""

from __future__ import annotations

from stepnav.cli.options import AsJson
from stepnav.cli.train.training import (
    Model,
    TrainData,
    TrainOptions,
    TrainOut,
    require_libraries,
    train,
)

DEFAULTS = TrainOptions(epochs=3.0, learning_rate=2e-5)


def run(
    *,
    model: Model,
    data: TrainData,
    out: TrainOut,
    train_options: TrainOptions = DEFAULTS,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a language model on solutions; the prompt is masked.

    Data: JSON lines with prompt and completion, question and answer (GSM8K), or problem and
    solution (MATH).

    Examples:

      stepnav train sft --model ./base --data train12k.jsonl.gz --out ./math-sft

      torchrun --nproc_per_node 8 -m stepnav train sft --model ./base --data a.jsonl --out ./sft
    """
    require_libraries()
    from stepnav.train.finetune import finetune_policy
    from stepnav.train.pairs import read_pairs

    pairs = read_pairs(data)[: train_options.problems]
    train(out, train_options, as_json, lambda common: finetune_policy(model, pairs, out, **common))
