"""`stepnav train sft`: fine-tuning of a policy."""

from __future__ import annotations

from functools import partial

from stepnav.cli.options.shared import AsJson
from stepnav.cli.train.training import (
    TrainFiles,
    TrainOptions,
    require_libraries,
    train,
)

DEFAULTS = TrainOptions(epochs=3.0, learning_rate=2e-5)


def run(
    *,
    files: TrainFiles,
    train_options: TrainOptions = DEFAULTS,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a language model on solutions; the prompt is masked.

    Data: rows with prompt and completion, question and answer (GSM8K), or problem and
    solution (MATH).

    Examples:

      stepnav train sft --model ./base --data train12k.jsonl.gz --out ./math-sft

      torchrun --nproc_per_node 8 -m stepnav train sft --model ./base --data a.jsonl --out ./sft
    """
    require_libraries()
    from stepnav.train.finetune import finetune_policy
    from stepnav.train.pairs import read_pairs

    pairs = read_pairs(files.data)[: train_options.problems]
    start = partial(finetune_policy, files.model, pairs, files.out)
    train(files.out, train_options, as_json, start)
