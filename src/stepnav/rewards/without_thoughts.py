"""A reward model that is not shown what a thinking model thinks before it answers.

Most reward models were trained on solutions without thoughts. A thought's steps count as right, so
that the search goes on to the answer, whose steps are scored as if nothing had been thought.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import BackendError
from stepnav.core.records import StepScore, Trajectory
from stepnav.core.requests import Request, Score


class WithoutThoughts:
    """Hands another reward model the answer's steps alone.

    Args:
      reward: scores them.
      thought_of: a solution's text to its beginning that was thought, empty if nothing was.
    """

    def __init__(self, reward: Backend, thought_of: Callable[[str], str]) -> None:
        self._reward, self._thought_of = reward, thought_of
        self._num_thought: dict[int, int] = {}

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Score`."""
        shown, self._num_thought[ticket] = self._shown(request)
        self._reward.submit(ticket, shown)

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return what has been scored."""
        return [(ticket, self._whole(ticket, a)) for ticket, a in self._reward.poll(timeout_s)]

    def cancel(self, ticket: int) -> None:
        """Forget a request."""
        self._num_thought.pop(ticket, None)
        self._reward.cancel(ticket)

    def token_bound(self, request: Request) -> int:
        """Return the most tokens that scoring may read."""
        return self._reward.token_bound(self._shown(request)[0])

    def close(self) -> None:
        """Close the reward model; may be called twice."""
        self._num_thought.clear()
        self._reward.close()

    def _whole(self, ticket: int, answer: Answer | BackendError) -> Answer | BackendError:
        count = self._num_thought.pop(ticket, 0)
        if not isinstance(answer, Answer) or count == 0:
            return answer
        totals = answer.prefix_tokens
        return replace(
            answer,
            items=(StepScore.from_rating(1),) * count + answer.items,
            prefix_tokens=None if totals is None else totals[:1] * count + totals,
        )

    def _shown(self, request: Request) -> tuple[Score, int]:
        """Return the request without the steps of a thought, and how many these are."""
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        whole = request.trajectory
        length = len(self._thought_of(whole.text))
        ends = accumulate(len(step.text) for step in whole.steps)
        count = sum(end <= length for end in ends)
        return replace(request, trajectory=Trajectory(whole.problem, whole.steps[count:])), count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reward, name)
