"""A reward model in this process, over the engine.

Scores of known steps and the keys and values behind them are kept in the prefix tree, so that a new
step costs its own tokens only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.requests import Request, Score
from stepnav.engine.checkpoint.loading import (
    context_length,
    load_model,
    load_tokenizer,
    load_with,
    num_parameters,
    require_torch,
)
from stepnav.engine.checkpoint.model_folder import model_folder
from stepnav.engine.queue import Job, RowQueue
from stepnav.engine.row import Row
from stepnav.rewards.local.family import EngineLimits, Family
from stepnav.rewards.local.step_reader import Reader

if TYPE_CHECKING:
    from typing_extensions import Unpack

MIN_BATCH = 16
"""With other work waiting, a batch of fewer rows is put off ..."""

MAX_PUT_OFF = 2
"""... but not more often than this."""

GPU_PASSES = 8
"""On a GPU a pass has so many times the tokens, since few do not keep it busy."""


class LocalReward(RowQueue[Row]):
    """Scores steps with a model in this process; `LocalReward.open` loads one.

    Args:
      reader: what is read.
      runner: runs it.
      model: whose parameters and context count.
      format: the family's settings, for instance a `StepFormat`.
    """

    def __init__(self, reader: Reader, runner: Any, model: Any, format: Any = None) -> None:  # noqa: A002
        super().__init__(runner, "reward model")
        self.format = format
        self.num_parameters = num_parameters(model)
        self._reader = reader
        self._context = context_length(model)
        self._num_put_off = 0

    @classmethod
    def open(
        cls,
        family: Family,
        model: Any,
        tokenizer: Any = None,
        *,
        format: Any = None,  # noqa: A002
        device: str = "auto",
        dtype: str = "float32",
        **limits: Unpack[EngineLimits],
    ) -> LocalReward:
        """Return a family's reward model.

        Args:
          family: how it is loaded and read.
          model: a `save_pretrained` folder, a hub name, or a loaded model of the family's class.
          tokenizer: a loaded tokenizer; None takes the one beside the model.
          format: the family's settings; None takes those beside the model, or else its usual ones.
          device: "cpu", "cuda" or "auto"; a loaded model stays where it is.
          dtype: "float32", "bfloat16" or "float16"; a loaded model keeps its own.
          limits: see `EngineLimits`.
        Raises:
          ConfigError: torch is missing, or the model, tokenizer or format cannot be used.
        """
        require_torch()
        folder = None
        if isinstance(model, (str, Path)):
            folder = model_folder(model)
            where = {"device": device, "dtype": dtype}
            if family.kind is not None:
                model = load_model(folder, family.kind, **where)
            else:
                model = load_with(family.model_class(), folder, family.noun, **where)
            tokenizer = load_tokenizer(folder) if tokenizer is None else tokenizer
        elif tokenizer is None:
            raise ConfigError("a loaded model needs its tokenizer; pass tokenizer=")
        if format is None:
            format = family.format(folder, model.config)  # noqa: A001
        reader = family.reader(model, tokenizer, format)
        on_cpu = next(model.parameters()).device.type == "cpu"
        limits.setdefault("pass_tokens", family.pass_tokens * (1 if on_cpu else GPU_PASSES))
        return cls(reader, family.runner(model, limits), model, format)

    def token_bound(self, request: Request) -> int:
        """Return the tokens that are read: more never are; 0 if it will be refused."""
        assert isinstance(request, Score), "a reward model bounds score requests only"
        try:
            return self._reader.reading(request.trajectory).totals[-1]
        except BackendError:
            return 0

    def _open(self, request: Request) -> Job[Row]:
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        reading = self._reader.reading(request.trajectory)
        if reading.rows:
            reading.check_length(self._context)
        return Job(list(reading.rows), reading.totals)

    def _go_on(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._finish(row, keep=False)

    def _puts_off(self, *, can_wait: bool) -> bool:
        is_small = len(self._job_of) < MIN_BATCH and self._num_put_off < MAX_PUT_OFF
        puts_off = can_wait and is_small
        self._num_put_off = self._num_put_off + 1 if puts_off else 0
        return puts_off

    def _take(self, asked: Sequence[tuple[Row, int]], outputs: Any) -> None:
        self._reader.take(asked, outputs)
        for row in dict.fromkeys(row for row, _ in asked):
            if row.wanted[-1] in row.outputs:
                self.runner.settle(row)
                self._finish(row, keep=False)

    def _answer(self, job: Job[Row]) -> Answer:
        if not job.rows:
            return Answer((), Usage(reward_calls=1))
        rate = 2 * self.num_parameters
        # what stands behind the last output may be unread
        new = sum(max(0, row.num_filled - row.num_cached) for row in job.rows)
        usage = Usage(
            reward_calls=1,
            reward_tokens=new,
            reward_cached_tokens=sum(row.num_cached for row in job.rows),
            flops=rate * new,
        )
        return Answer(self._reader.scores(job.rows), usage, job.prefix_tokens, rate)
