"""A reward model that is the user's own function, sync or async."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError
from stepnav.core.records import StepScore, Trajectory
from stepnav.core.requests import Request, Score
from stepnav.engine.calls import CallQueue, is_coroutine


class FunctionReward:
    """Asks a function for the scores of a solution's steps.

    Args:
      function: called with the question and the list of steps; returns one score per step: a float
        in [0, 1] (P(the step is not wrong)), a whole number -1, 0 or 1 (a rating), or a
        `StepScore`.
      workers: threads on which it may run at once, if it is no coroutine function.

    A call is charged one token per word of the solution.

    Example:
      >>> reward = FunctionReward(lambda question, steps: [0.0 if "?" in s else 1.0 for s in steps])
    """

    def __init__(self, function: Callable[..., Any], *, workers: int = 1) -> None:
        self._function = function
        self._calls = CallQueue("reward function", workers=workers)

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Score`."""
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        steps = [step.text for step in request.trajectory.steps]
        call = partial(self._function, request.trajectory.problem.question, steps)
        is_async = is_coroutine(self._function)
        self._calls.submit(
            ticket, partial(_awaited if is_async else _run, call, request.trajectory)
        )

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return what the function has answered."""
        return self._calls.poll(timeout_s)

    def cancel(self, ticket: int) -> None:
        """Forget a request."""
        self._calls.cancel(ticket)

    def token_bound(self, request: Request) -> int:
        """Return what the request is charged."""
        assert isinstance(request, Score), "a reward model bounds scores only"
        return _num_words(request.trajectory)

    def close(self) -> None:
        """Forget all requests; may be called twice."""
        self._calls.close()


def _run(call: Callable[[], Any], trajectory: Trajectory) -> Answer:
    return _answer(call(), trajectory)


async def _awaited(call: Callable[[], Any], trajectory: Trajectory) -> Answer:
    return _answer(await call(), trajectory)


def _answer(scores: Any, trajectory: Trajectory) -> Answer:
    num_steps = len(trajectory.steps)
    if hasattr(scores, "tolist"):  # of numpy, of torch
        scores = scores.tolist()
    if not isinstance(scores, Sequence) or isinstance(scores, str) or len(scores) != num_steps:
        raise BackendError(
            f"the reward function must return one score per step, {num_steps} here "
            f"(got {scores!r:.80})",
            provider="function",
        )
    usage = Usage(reward_calls=1, reward_tokens=_num_words(trajectory), flops=None)
    return Answer(tuple(map(_score, scores)), usage)


def _score(value: Any) -> StepScore:
    if isinstance(value, StepScore):
        return value
    value = value.item() if hasattr(value, "item") else value  # of numpy, of torch
    if isinstance(value, int) and not isinstance(value, bool) and value in (-1, 0, 1):
        return StepScore.from_rating(value)  # type: ignore[arg-type]
    if isinstance(value, float) and 0 <= value <= 1:
        return StepScore(1 - value, 0.0, value)
    raise BackendError(
        "a step's score must be a float in [0, 1], a whole number -1, 0 or 1, or a StepScore "
        f"(got {value!r:.80})",
        provider="function",
    )


def _num_words(trajectory: Trajectory) -> int:
    return max(1, len(trajectory.text.split()))
