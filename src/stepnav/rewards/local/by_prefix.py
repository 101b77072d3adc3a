"""Scores every prefix of a trajectory as a text of its own, for models with one score per text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError
from stepnav.core.records import StepScore, Trajectory
from stepnav.core.requests import Request, Score
from stepnav.rewards.local.queue import ScoreQueue
from stepnav.rewards.local.step_reader import Encoder


@dataclass(slots=True)
class _Open:
    """A request under way: its parts by number of steps, and their answers as they come."""

    ticket: int
    parts: dict[int, int] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)


class ByPrefix:
    """Answers `Score` requests with one score per prefix.

    `prefix_tokens` counts what each prefix adds: its new tokens, and those of the text after it
    (a turn's end), which are read again for each prefix.

    Args:
      queue: scores the last step of a trajectory; its answers hold one score.
      encoder: the queue's; tells how many tokens there are before the last step and after it.
    """

    def __init__(self, queue: ScoreQueue, encoder: Encoder) -> None:
        self._queue = queue
        self._encoder = encoder
        self._open: dict[int, _Open] = {}
        self._part_of: dict[int, tuple[int, int]] = {}
        self._next = 0

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Score`."""
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        item = self._open[ticket] = _Open(ticket)
        for depth, prefix in enumerate(_prefixes(request.trajectory)):
            item.parts[depth] = self._next
            self._part_of[self._next] = ticket, depth
            self._queue.submit(self._next, Score(prefix))
            self._next += 1

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Run passes until something is answered, as `ScoreQueue.poll`.

        Raises:
          BackendDown: the model failed.
        """
        done: list[tuple[int, Answer | BackendError]] = []
        for part, answer in self._queue.poll(timeout_s):
            found = self._part_of.pop(part, None)
            if found is None:
                continue
            ticket, depth = found
            item = self._open[ticket]
            if isinstance(answer, BackendError):
                self.cancel(ticket)
                done.append((ticket, answer))
                continue
            item.answers[depth] = answer
            if len(item.answers) == len(item.parts):
                del self._open[ticket]
                done.append((ticket, _joined([item.answers[d] for d in sorted(item.parts)])))
        return done

    def cancel(self, ticket: int) -> None:
        """Forget a request."""
        item = self._open.pop(ticket, None)
        if item is None:
            return
        for part in item.parts.values():
            self._part_of.pop(part, None)
            self._queue.cancel(part)

    def token_bound(self, request: Request) -> int:
        """Return what all prefixes add, as charged; 0 if the request will be refused."""
        assert isinstance(request, Score), "a reward model bounds score requests only"
        try:
            known = [self._encoder.encode(prefix)[1] for prefix in _prefixes(request.trajectory)]
        except BackendError:
            return 0
        return _totals(known)[-1]

    def close(self) -> None:
        """Forget all requests and everything cached."""
        self._open.clear()
        self._part_of.clear()
        self._queue.close()


def _prefixes(trajectory: Trajectory) -> list[Trajectory]:
    """Return the prefixes to score; a trajectory without steps is its own only one."""
    problem, steps = trajectory.problem, trajectory.steps
    return [Trajectory(problem, steps[: depth + 1]) for depth in range(max(1, len(steps)))]


def _joined(answers: Sequence[Answer]) -> Answer:
    """Return one answer for a whole trajectory, from those for its prefixes."""
    scores: tuple[StepScore, ...] = sum((answer.items for answer in answers), ())
    new = sum(answer.usage.reward_tokens for answer in answers)
    rates = {answer.flops_per_token for answer in answers}
    rate = rates.pop() if len(rates) == 1 else None
    usage = Usage(
        reward_calls=1,
        reward_tokens=new,
        reward_cached_tokens=sum(answer.usage.reward_cached_tokens for answer in answers),
        flops=None if rate is None else rate * new,
    )
    known = [answer.prefix_tokens for answer in answers if answer.prefix_tokens is not None]
    totals = _totals(known) if len(known) == len(answers) else None
    return Answer(scores, usage, totals, rate)


def _totals(known: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return how many tokens have been read for the prompt, and with each prefix.

    Args:
      known: (tokens before the last step, tokens after it) of each prefix.
    """
    found = [known[0][0]]
    for totals in known:
        found.append(found[-1] + totals[-1] - totals[0])
    return tuple(found)
