"""What is told of a training while it runs: its progress, and its log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from stepnav.core.errors import StepnavError
from stepnav.files.atomic import write_text
from stepnav.train.failures import diverged, explained

FitProgress = Callable[[int, int, "float | None"], None]
"""(optimizer steps done, in all, latest mean loss; of GRPO the latest mean reward)."""


class Watcher(TrainerCallback):  # type: ignore[misc]
    """Reports progress and writes the losses down.

    Args:
      log: gets a line per step; those after `done` are taken out.
      progress: told of each step.
      done: steps of the checkpoint that is gone on with.
      columns: what else of each step's figures is written down, where it is there.
      shown: the figure that progress is told.
    """

    def __init__(
        self,
        log: Path,
        progress: FitProgress | None,
        done: int,
        *,
        columns: Sequence[str] = (),
        shown: str = "loss",
    ) -> None:
        self._log = log
        self._progress = progress
        self._done = done
        self._columns = columns
        self._shown = shown
        self._latest: float | None = None
        self.has_begun = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Take out of the log what will be done again; save as often as is asked for now."""
        state.save_steps = args.save_steps  # the Trainer goes on as the checkpoint's training did
        if state.is_world_process_zero and self._log.exists():
            write_text(self._log, "".join(self.kept_lines()))

    def kept_lines(self) -> list[str]:
        """Return the log's lines of the steps that are gone on from; the last may be cut."""
        lines = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        return [
            line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= self._done
        ]

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Note that everything is loaded."""
        self.has_begun = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Keep the latest figure; stop before anything is saved if it or its gradient is no number.

        Raises:
          DataError: it is none, in all processes alike.
        """
        if not logs or "loss" not in logs:
            return
        for name, value in (("loss", logs["loss"]), ("gradient's norm", logs.get("grad_norm"))):
            if value is not None and not math.isfinite(value):
                raise diverged(f"the {name} is {value}", state.global_step)
        if state.is_world_process_zero:
            self._latest = logs[self._shown]
            row = {
                "step": state.global_step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "grad_norm": logs.get("grad_norm"),
                **{name: logs[name] for name in self._columns if name in logs},
            }
            with self._log.open("a") as file:
                file.write(json.dumps(row) + "\n")

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Tell how far it is."""
        if self._progress is not None and state.is_world_process_zero:
            self._progress(state.global_step, state.max_steps, self._latest)


@contextmanager
def explaining(out: Path, checkpoint: Path | None, watcher: Watcher) -> Iterator[None]:
    """Make what a Trainer raises inside an error of ours, where the user can do something about it.

    Args:
      out: folder of the training.
      checkpoint: what it goes on from, if anything.
      watcher: knows whether training goes on already.
    """
    try:
        yield
    except StepnavError:
        raise
    except Exception as error:  # safetensors has kinds of its own
        failure = explained(error, out, None if watcher.has_begun else checkpoint)
        if failure is None:
            raise
        raise failure from error
