"""`Sandbox`: a few warm parents, and jobs, batches and live sessions run in them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
from collections import deque
from collections.abc import Hashable, Iterable, Iterator

from stepnav.core.errors import SandboxError
from stepnav.sandbox.answers import from_answer, lost
from stepnav.sandbox.codec import encode
from stepnav.sandbox.inside import batch_box, box
from stepnav.sandbox.operations import encode_operation
from stepnav.sandbox.records import CallResult, Job, JobResult, Level, Limits
from stepnav.sandbox.worker import CLEAN_END, End, WarmParentDiedError, Worker

PATIENCE_S = 3600.0

DIED_TWICE = "the sandbox's warm parent died twice in the same job; is the machine out of memory?"


class Sandbox:
    """Runs untrusted programs; use it as a context manager.

    Nothing is started before the first job, or `start`. Several threads may use one sandbox; each
    job has a warm parent to itself.

    Args:
      level: how strongly it is closed; "unsafe" is no sandbox at all.
      limits: what each program may use.
      workers: warm parents, that is, jobs that run at once.
      image: container image for level "docker"; empty for the official Python image.
    """

    def __init__(
        self,
        level: Level = "process",
        *,
        limits: Limits | None = None,
        workers: int = 1,
        image: str = "",
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1 (got {workers})")
        self.level: Level = level
        self.limits = limits or Limits()
        self.prepared: dict[Hashable, object] = {}
        self.workers = [Worker(level, self.limits, image=image) for _ in range(workers)]
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        for worker in reversed(self.workers):
            self._idle.put(worker)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all warm parents now.

        Raises:
          SandboxError: a layer of the level is missing.
        """
        for worker in self.workers:
            worker.start()

    def close(self) -> None:
        """End all warm parents; may be called twice, and a later job starts them again."""
        for worker in self.workers:
            worker.close()

    def run(self, job: Job) -> JobResult:
        """Return what came of a job.

        Raises:
          SandboxError: the program could not be run safely.
        """
        operations = [encode_operation(call) for call in job.calls]
        answers, end = self.run_message(
            self.job_message(job.source, operations, is_live=False),
            cpu_s=job.cpu_s or self.limits.cpu_s,
            wall_s=job.wall_s or self.limits.wall_s,
            output_bytes=self.limits.output_bytes,
            num_answers=len(operations) + 1,
        )
        return self._result(answers, end, len(operations))

    def map(self, jobs: Iterable[Job]) -> Iterator[JobResult]:
        """Yield the results of jobs, in order, as many at once as there are workers."""
        if len(self.workers) == 1:
            yield from map(self.run, jobs)
            return
        with concurrent.futures.ThreadPoolExecutor(len(self.workers)) as threads:
            pending: deque[concurrent.futures.Future[JobResult]] = deque()
            for job in jobs:
                pending.append(threads.submit(self.run, job))
                if len(pending) > 2 * len(self.workers):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def run_message(
        self,
        job: bytes,
        *,
        cpu_s: float,
        wall_s: float,
        output_bytes: int,
        num_answers: int,
        is_batch: bool = False,
    ) -> tuple[list[bytes], End]:
        """Return all answers to an encoded job and its end; for `run` and `judge_batch`.

        Args:
          job: the message that starts it, see `box` and `batch_box`.
          cpu_s: CPU seconds in all; of a batch, since the last output.
          wall_s, output_bytes: its other limits.
          num_answers: how many to take; what a program sends beyond them is thrown away.
          is_batch: whether it is a batch, which adds an answer to say that it may serve on.
        """
        with self.worker() as worker:
            answering = Answering(
                worker, job, cpu_s=cpu_s, wall_s=wall_s, output_bytes=output_bytes,
                num_answers=num_answers, is_batch=is_batch,
            )  # fmt: skip
            while answering.end is None:
                answering.wait(PATIENCE_S)
                answering.keep()
            return answering.answers, answering.end

    @contextlib.contextmanager
    def answering(
        self, source: str, operations: list[bytes], *, cpu_s: float | None = None
    ) -> Iterator[Answering]:
        """Start a program on encoded operations; its answers arrive in what this gives.

        Raises:
          SandboxError: a layer is missing, or the warm parent died twice.
        """
        job = self.job_message(source, operations, is_live=False)
        with self.worker() as worker:
            yield Answering(
                worker, job, cpu_s=cpu_s or self.limits.cpu_s, wall_s=self.limits.wall_s,
                output_bytes=self.limits.output_bytes, num_answers=len(operations) + 1,
            )  # fmt: skip

    def job_message(self, source: str, operations: list[bytes], *, is_live: bool) -> bytes:
        """Return the message that starts a job in the box."""
        limits = self.limits
        text = source.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
        return encode(("job", text, operations, is_live, limits.max_depth, limits.output_bytes))

    @contextlib.contextmanager
    def worker(self) -> Iterator[Worker]:
        """Hold a warm parent; waits for an idle one."""
        worker = self._idle.get()
        try:
            yield worker
        except BaseException:
            worker.close()  # an interrupt leaves half an answer in the pipe
            raise
        finally:
            self._idle.put(worker)

    def _result(self, answers: list[bytes], end: End, num_calls: int) -> JobResult:
        results = [from_answer(item, max_depth=self.limits.max_depth) for item in answers]
        results = results[: num_calls + 1]
        if len(results) <= num_calls:
            results.append(lost(end))
        missing = CallResult("missing", message="the program ended before this call")
        results += [missing] * (num_calls + 1 - len(results))
        return JobResult(results[0], tuple(results[1:]), end.cpu_s, self.level)


class Answering:
    """A running job: its answers so far, and its end once it has come.

    Args:
      worker: an idle warm parent.
      job: the message that starts the job.
      cpu_s, wall_s, output_bytes, num_answers, is_batch: as in `Sandbox.run_message`.
    """

    def __init__(
        self,
        worker: Worker,
        job: bytes,
        *,
        cpu_s: float,
        wall_s: float,
        output_bytes: int,
        num_answers: int,
        is_batch: bool = False,
    ) -> None:
        self.answers: list[bytes] = []
        self.end: End | None = None
        self._worker = worker
        self._job = job
        self._limits = (cpu_s, wall_s, output_bytes)
        self._is_batch = is_batch
        self._num_answers = num_answers + is_batch
        self._is_over = False
        self._has_more = False
        self._data = bytearray()
        self._is_second = False
        self._submit()

    def wait(self, patience_s: float) -> bool:
        """Take in what has arrived; return whether anything did before the patience was over.

        A warm parent that dies is replaced once, and the job begins again.
        """
        try:
            part = self._worker.receive(patience_s)
        except WarmParentDiedError:
            self._again()
            return True
        if part is None:
            return False
        if isinstance(part, End):
            self.end = part
        else:
            self._take(part)
        return True

    def _take(self, part: bytes) -> None:
        self._data += part
        self.answers += split_frames(self._data, self._num_answers - len(self.answers))
        if len(self.answers) == self._num_answers and self._data:
            self._data.clear()
            self._has_more = True

    def finish(self) -> End:
        """End the program; return how it ended."""
        self._worker.kill()
        while self.end is None:
            self.wait(PATIENCE_S)
        return self.end

    def keep(self) -> None:
        """Let the process of a batch serve the next one, if its last answer says that it may."""
        if not self._is_batch or self.end is not None or self._is_over:
            return
        if self.answers and self.answers[-1] == batch_box.MAY_SERVE_ON:
            self._is_over = True
            if len(self.answers) == self._num_answers and not self._has_more:
                self._worker.keep()
                self.end = CLEAN_END
            else:
                self._worker.kill()

    def _again(self) -> None:
        self._worker.close()
        if self._is_second:
            raise SandboxError(DIED_TWICE)
        self._is_second = True
        self._is_over = self._has_more = False
        self.answers.clear()
        self._data.clear()
        self._submit()

    def _submit(self) -> None:
        cpu_s, wall_s, output_bytes = self._limits
        try:
            self._worker.submit(
                self._job, cpu_s=cpu_s, wall_s=wall_s, output_bytes=output_bytes,
                is_batch=self._is_batch,
            )  # fmt: skip
        except WarmParentDiedError:
            self._again()


def split_frames(data: bytearray, most: int) -> list[bytes]:
    """Return the complete frames at the start of `data`, at most `most`, and remove them."""
    frames = box.split(data, most)
    del data[: sum(map(len, frames)) + box.HEADER.size * len(frames)]
    return frames
