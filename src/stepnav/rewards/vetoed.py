"""A reward model whose scores a rule can lower.

A rule (`execution`, `equations`) knows some mistakes for sure and says nothing of the rest, a model
has an opinion on everything: a step has the lower of both scores.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import BackendError
from stepnav.core.records import StepScore, Trajectory
from stepnav.core.requests import Request, Score
from stepnav.rewards.scripted import ScriptedReward


class Vetoed:
    """Asks a model, and lowers its scores where a rule's are lower; the model is charged alone.

    Args:
      rule: of this process, asked when the model has answered.
      reward: the model.
    """

    def __init__(self, rule: ScriptedReward, reward: Backend) -> None:
        self._rule, self._reward = rule, reward
        self._asked: dict[int, Trajectory] = {}

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Score`."""
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        self._reward.submit(ticket, request)
        self._asked[ticket] = request.trajectory

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return what has been scored."""
        ready = self._reward.poll(timeout_s)
        known = [(ticket, answer) for ticket, answer in ready if ticket in self._asked]
        return [(ticket, self._lowered(ticket, answer)) for ticket, answer in known]

    def cancel(self, ticket: int) -> None:
        """Forget a request."""
        self._asked.pop(ticket, None)
        self._reward.cancel(ticket)

    def token_bound(self, request: Request) -> int:
        """Return the most tokens that the model may read."""
        return self._reward.token_bound(request)

    def close(self) -> None:
        """Close both; may be called twice."""
        self._asked.clear()
        self._rule.close()
        self._reward.close()

    def _lowered(self, ticket: int, answer: Answer | BackendError) -> Answer | BackendError:
        trajectory = self._asked.pop(ticket)
        if not isinstance(answer, Answer):
            return answer
        pairs = zip(answer.items, self._rule.scores(trajectory), strict=True)
        return replace(answer, items=tuple(min(pair, key=_value) for pair in pairs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reward, name)


def _value(score: StepScore) -> float:
    return score.value
