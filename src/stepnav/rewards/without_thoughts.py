"""A reward model that is not shown what a thinking model thinks before it answers.

Most reward models were trained on solutions without thoughts. A thought's steps count as right, so
that the search goes on to the answer, whose steps are scored as if nothing had been thought.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import BackendError
from stepnav.core.records import StepScore, Trajectory
from stepnav.core.requests import Request, Score
from stepnav.core.thoughts import split_thinking


class WithoutThoughts:
    """Hands another reward model the answer's steps alone.

    Args:
      reward: scores them.
      before: what solutions go on from: the opening mark, where the policy's prompt ends with it.
    """

    def __init__(self, reward: Backend, before: str = "") -> None:
        self._reward, self._before = reward, before
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
        """Return the request without the steps of a thought, and how many these are.

        Of a step in which the thought ends what is behind it is shown, if anything is.
        """
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        whole = request.trajectory
        length = len(split_thinking(whole.text, self._before)[0])
        ends = list(accumulate(len(step.text) for step in whole.steps))
        count = sum(end <= length for end in ends)
        shown = whole.steps[count:]
        if shown and ends[count] - len(shown[0].text) < length:
            behind = shown[0].text[length - ends[count] :]
            first = (replace(shown[0], text=behind, token_ids=None),) if behind.strip() else ()
            count, shown = count + 1 - len(first), (*first, *shown[1:])
        return replace(request, trajectory=Trajectory(whole.problem, shown)), count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reward, name)
