"""What each process of a distributed training runs: python distributed_run.py BASE OUT BATCH
(shard|no|shapes) [STOP]."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from stepnav.engine.checkpoint.loading import load_trainable_classifier
from stepnav.labels.records import StepRecord
from stepnav.train.finetune import finetune_reward_model
from stepnav.train.fit import FitSettings
from stepnav.train.shards import leave_processes, shard_model

RECORDS = [
    StepRecord(
        f"what {a} is {b}",
        (f"step we add {a}", f"so {b} = two", "answer three ."),
        (1, *((1, -1) if number % 2 else (0, 1))),
    )
    for number, (a, b) in enumerate((a, b) for a in ["x", "y", "two", "four"] for b in ["x", "y"])
]


def main(base: str, out: Path, batch_size: int, what: str, stop: int) -> None:
    """Train, and let the main process write the losses down; die after step `stop`."""
    if what == "shapes":
        write_shapes(base, out)
        return
    shard = what == "shard"

    def progress(done: int, total: int, loss: float | None) -> None:
        if done == stop:
            os._exit(7)

    settings = FitSettings(
        epochs=3, learning_rate=1e-3, batch_size=batch_size, save_every=2, cpu=True, shard=shard
    )
    report = finetune_reward_model(
        base,
        RECORDS,
        "rating",
        out,
        settings=settings,
        resume=True,
        progress=progress,
    )
    if report.fit.is_main:
        (out / "losses.json").write_text(json.dumps([loss for _, loss in report.fit.losses]))
    leave_processes()


def write_shapes(base: str, out: Path) -> None:
    """Write the whole and the local shape of every parameter of a sharded model."""
    model = load_trainable_classifier(base, num_labels=3)
    shard_model(model)
    shapes = {
        name: [list(parameter.shape), list(parameter.to_local().shape)]
        for name, parameter in model.named_parameters()
    }
    if int(os.environ["RANK"]) == 0:
        out.write_text(json.dumps(shapes))
    leave_processes()


if __name__ == "__main__":
    main(
        sys.argv[1],
        Path(sys.argv[2]),
        int(sys.argv[3]),
        sys.argv[4],
        int(sys.argv[5]) if sys.argv[5:] else 0,
    )
