"""The completion queue of models in this process: requests become rows, which a runner runs.

Local policies and reward models are this queue. What differs between them is how a request becomes
rows, what is done with the outputs that a pass brings, and what the answer is: the hooks.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendDown, BackendError, one_line
from stepnav.core.requests import Request
from stepnav.engine.row import Row

AnyRow = TypeVar("AnyRow", bound=Row)


@dataclass(eq=False, slots=True)
class Job(Generic[AnyRow]):
    """A request under way.

    Attributes:
      rows: what is run for it; none for a request that is answered at once. Grows where a row can
        be made only once the one before is finished.
      prefix_tokens: as in `Answer`.
      ticket: as submitted.
      num_open: rows that are not finished.
    """

    rows: list[AnyRow]
    prefix_tokens: tuple[int, ...]
    ticket: int = -1
    num_open: int = 0


class RowQueue(Generic[AnyRow]):
    """Answers requests with what a runner's passes bring.

    Args:
      runner: runs the rows (`Runner` or `PlainRunner`).
      noun: what the model is, for messages.
    """

    def __init__(self, runner: Any, noun: str) -> None:
        self.runner = runner
        self._noun = noun
        self._jobs: dict[int, Job[AnyRow]] = {}
        self._job_of: dict[AnyRow, Job[AnyRow]] = {}
        self._answers: deque[tuple[int, Answer | BackendError]] = deque()

    def submit(self, ticket: int, request: Request) -> None:
        """Take a request; one that the model cannot read is answered by the error.

        Raises:
          TypeError: it is for another kind of model.
        """
        try:
            job = self._open(request)
            job.ticket, job.num_open = ticket, len(job.rows)
            self._jobs[ticket] = job
            for row in job.rows:
                self._begin(job, row)
        except TypeError:
            raise
        except Exception as error:  # it concerns this request alone, and so is no other's end
            self.cancel(ticket)
            self._answers.append((ticket, self._as_backend_error(error)))
            return
        if not job.rows:
            self._close(job)

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Run passes until something is answered; with `timeout_s` 0 one, or none if it can wait.

        Raises:
          BackendDown: the model failed, for instance out of memory.
        """
        deadline = time.monotonic() + timeout_s
        while self._jobs:
            self._advance(can_wait=timeout_s <= 0)
            if self._answers or time.monotonic() >= deadline:
                break
        answers = list(self._answers)
        self._answers.clear()
        return answers

    def cancel(self, ticket: int) -> None:
        """Forget a request and free its slots."""
        job = self._jobs.pop(ticket, None)
        for row in job.rows if job is not None else ():
            if self._job_of.pop(row, None) is not None:
                self.runner.cancel(row)
        self._answers = deque(item for item in self._answers if item[0] != ticket)

    def close(self) -> None:
        """Forget all requests and everything cached."""
        self._jobs.clear()
        self._job_of.clear()
        self._answers.clear()
        self.runner.clear()

    def _open(self, request: Request) -> Job[AnyRow]:
        """Return what is to be run.

        Raises:
          BackendError: the model cannot read it.
          TypeError: it is for another kind of model.
        """
        raise NotImplementedError

    def _go_on(self, rows: Sequence[AnyRow]) -> None:
        """Use rows all of whose wanted outputs are known without a pass."""
        raise NotImplementedError

    def _take(self, asked: Sequence[tuple[AnyRow, int]], outputs: Any) -> None:
        """Use a pass's outputs [N, C] at N (row, position) pairs."""
        raise NotImplementedError

    def _answer(self, job: Job[AnyRow]) -> Answer:
        """Return the answer of a job whose rows are finished.

        Raises:
          BackendError: the outputs cannot be used.
        """
        raise NotImplementedError

    def _following(self, job: Job[AnyRow]) -> AnyRow | None:
        """Return the row that is to be run now that the job's last one is finished, if any."""
        return None

    def _puts_off(self, *, can_wait: bool) -> bool:
        """Return whether the next pass had better wait for more rows, where it can."""
        return False

    def _finish(self, row: AnyRow, *, keep: bool) -> None:
        """Free a row's slot, keeping what it has read if asked to; the last one ends its job."""
        self.runner.release(row, keep=keep)
        job = self._job_of.pop(row)
        following = self._following(job)
        if following is not None:
            job.rows.append(following)
            self._begin(job, following)
            return
        job.num_open -= 1
        if job.num_open == 0:
            self._close(job)

    def _begin(self, job: Job[AnyRow], row: AnyRow) -> None:
        self._job_of[row] = job
        self.runner.submit(row)

    def _close(self, job: Job[AnyRow]) -> None:
        del self._jobs[job.ticket]
        answer: Answer | BackendError
        try:
            answer = self._answer(job)
        except BackendError as error:
            answer = error
        self._answers.append((job.ticket, answer))

    def _advance(self, *, can_wait: bool) -> None:
        """Admit what waits, use what is known of it, run one pass and use what it brings."""
        try:
            known = self.runner.admit()
            if known:
                self._go_on(known)
            if self._puts_off(can_wait=can_wait):
                return
            asked, outputs = self.runner.forward()
            if asked:
                self._take(asked, outputs)
        except (RuntimeError, MemoryError, LookupError, ValueError) as error:  # what models raise
            message = f"the local {self._noun} failed: {error}"
            raise BackendDown(message, provider="local") from error

    def _as_backend_error(self, error: Exception) -> BackendError:
        if isinstance(error, BackendError):
            return error
        message = f"the local {self._noun} cannot take the request ({one_line(error)})"
        return BackendError(message, provider="local")

    def _give_up(self, row: AnyRow, error: BackendError) -> None:
        """Answer a row's job with an error."""
        job = self._job_of[row]
        self.cancel(job.ticket)
        self._answers.append((job.ticket, error))
