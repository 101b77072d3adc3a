"""The completion queue of reward models that run in this process, over the shared engine.

What differs between them (how a trajectory becomes tokens, what is read off the model) is a
`Reader`. Scores of known steps and the keys and values behind them are kept in the prefix tree, so
that a new step costs its own tokens only.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendDown, BackendError
from stepnav.core.records import StepScore, Trajectory
from stepnav.core.requests import Request, Score
from stepnav.engine.row import Row
from stepnav.rewards.local.step_reader import NotANumber

MIN_BATCH = 16
"""With other work waiting, a batch of fewer trajectories is put off ..."""

MAX_PUT_OFF = 2
"""... but not more often than this."""


class Reader(Protocol):
    """What a reward model reads and how it turns it into scores."""

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens, and how many there are after the prompt and after each step.

        Raises:
          BackendError: a step cannot be scored.
        """

    def row(self, tokens: list[int], totals: Sequence[int]) -> Row:
        """Return the row to run."""

    def take(self, asked: Sequence[tuple[Row, int]], logits: Any) -> None:
        """Put what was read at each (row, position) into the row's outputs."""

    def scores(self, row: Row) -> tuple[StepScore, ...]:
        """Return the scores of a row whose outputs are complete, one per step.

        Raises:
          NotANumber: an output is none.
        """


@dataclass(eq=False, slots=True)
class _Open:
    ticket: int
    totals: tuple[int, ...]
    num_steps: int


class ScoreQueue:
    """Answers `Score` requests with a reader and a runner.

    Args:
      reader: tells what to read.
      runner: runs it (`stepnav.engine.runner.Runner`).
      flops_per_token: 2 x the model's parameters.
      context: most tokens that the model has positions for, None if it does not say.
    """

    def __init__(
        self, reader: Reader, runner: Any, *, flops_per_token: int, context: int | None
    ) -> None:
        self._reader = reader
        self.runner = runner
        self._flops_per_token = flops_per_token
        self._context = context
        self._open: dict[Row, _Open] = {}
        self._row_of: dict[int, Row] = {}
        self._answers: deque[tuple[int, Answer | BackendError]] = deque()
        self._num_put_off = 0

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Score`."""
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        try:
            tokens, totals = self._reader.encode(request.trajectory)
        except BackendError as error:
            self._answers.append((ticket, error))
            return
        if not request.trajectory.steps:
            self._answers.append((ticket, Answer((), Usage(reward_calls=1))))
            return
        if self._context is not None and len(tokens) > self._context:
            self._answers.append((ticket, self._too_long(totals, len(request.trajectory.steps))))
            return
        row = self._reader.row(tokens, totals)
        self._open[row] = _Open(ticket, totals, len(request.trajectory.steps))
        self._row_of[ticket] = row
        self.runner.submit(row)

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Run passes until something is answered; small batches are put off if `timeout_s` is 0.

        Raises:
          BackendDown: the model failed, for instance out of memory.
        """
        deadline = time.monotonic() + timeout_s
        while self._open:
            self._advance(may_put_off=timeout_s <= 0)
            if self._answers or time.monotonic() >= deadline:
                break
        answers = list(self._answers)
        self._answers.clear()
        return answers

    def cancel(self, ticket: int) -> None:
        """Forget a request and free its slot."""
        row = self._row_of.pop(ticket, None)
        if row is not None:
            del self._open[row]
            self.runner.cancel(row)
        self._answers = deque(item for item in self._answers if item[0] != ticket)

    def token_bound(self, request: Request) -> int:
        """Return the trajectory's tokens: more are never processed; 0 if it will be refused."""
        assert isinstance(request, Score), "a reward model bounds score requests only"
        try:
            return len(self._reader.encode(request.trajectory)[0])
        except BackendError:
            return 0

    def close(self) -> None:
        """Forget all requests and everything cached."""
        self._open.clear()
        self._row_of.clear()
        self._answers.clear()
        self.runner.clear()

    def _too_long(self, totals: Sequence[int], num_steps: int) -> BackendError:
        """Return the error that names the first step beyond the model's context."""
        assert self._context is not None, "without a limit nothing is too long"
        limit = self._context
        index = next((i for i, total in enumerate(totals) if total > limit), len(totals) - 1)
        place = f"step {num_steps - (len(totals) - 1) + index}" if index else "the question"
        return BackendError(
            f"{place} ends at token {totals[index]} and the reward model reads {limit} tokens, so "
            "it cannot be scored; use shorter solutions or a model with a longer context",
            provider="local",
        )

    def _advance(self, *, may_put_off: bool) -> None:
        try:
            for row in self.runner.admit():
                self._finish(row)
            if may_put_off and len(self._open) < MIN_BATCH and self._num_put_off < MAX_PUT_OFF:
                self._num_put_off += 1
                return
            self._num_put_off = 0
            asked, logits = self.runner.forward()
        except (RuntimeError, MemoryError) as error:
            raise BackendDown(
                f"the local reward model failed: {error}", provider="local"
            ) from error
        if not asked:
            return
        self._reader.take(asked, logits)
        for row in dict.fromkeys(row for row, _ in asked):
            if row.wanted[-1] in row.outputs:
                self.runner.settle(row)
                self.runner.release(row, keep=False)
                self._finish(row)

    def _finish(self, row: Row) -> None:
        item = self._open.pop(row)
        del self._row_of[item.ticket]
        # what stands behind the last output may be unread
        new = max(0, row.num_filled - row.num_cached)
        usage = Usage(
            reward_calls=1,
            reward_tokens=new,
            reward_cached_tokens=row.num_cached,
            flops=self._flops_per_token * new,
        )
        answer: Answer | BackendError
        try:
            answer = Answer(self._reader.scores(row), usage, item.totals, self._flops_per_token)
        except NotANumber as error:
            number = item.num_steps - error.count + error.index + 1
            answer = BackendError(
                f"the reward model's output for step {number} is not a number; a model that "
                "overflows in half precision needs --dtype float32 or bfloat16",
                provider="local",
            )
        self._answers.append((item.ticket, answer))
