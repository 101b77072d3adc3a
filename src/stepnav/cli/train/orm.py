"""`stepnav train orm`: an outcome reward model."""

from __future__ import annotations

from stepnav.cli.options.shared import AsJson, LabelOptions
from stepnav.cli.train.training import (
    TrainFiles,
    TrainOptions,
    TreeOptions,
    train_reward_model,
)


def run(
    *,
    files: TrainFiles,
    tree_options: TreeOptions,
    label_options: LabelOptions,
    train_options: TrainOptions,
    as_json: AsJson = False,
) -> None:
    """Train an outcome reward model: one label per whole solution, at its last step.

    A solution is right unless one of its steps is labelled wrong; a program of mutation data, if
    its verdict says so. Solutions that are only begun are left out. The model is read like a PRM;
    rank whole solutions by the last step's score (aggregation last).

    Example:

      stepnav train orm --model ./math-sft --data phase1_train.jsonl.gz --out ./orm
    """
    train_reward_model(
        files,
        tree_options,
        label_options,
        train_options,
        as_json,
        head="two",
        only_outcomes=True,
    )
