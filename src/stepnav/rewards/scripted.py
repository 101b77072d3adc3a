"""A reward model that plays from a script: the public fake for tests, examples and golden trees."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError
from stepnav.core.records import Rating, StepScore, Trajectory
from stepnav.core.requests import Request, Score


class ScriptedReward:
    """Scores steps by a function or a table; one token per word.

    Args:
      rate: returns the score of the last step of a trajectory.

    Example:
      >>> reward = ScriptedReward.from_table({"1 + 1 = 3": -1}, default=1)
    """

    def __init__(self, rate: Callable[[Trajectory], StepScore]) -> None:
        self._rate = rate
        self._waiting: deque[tuple[int, Score]] = deque()

    @classmethod
    def from_table(
        cls, table: Mapping[str, Rating | StepScore], default: Rating = 1
    ) -> ScriptedReward:
        """Return a reward model that looks a step's text up, outer white space ignored."""

        def score_of(rating: Rating | StepScore) -> StepScore:
            return rating if isinstance(rating, StepScore) else StepScore.from_rating(rating)

        scores = {text: score_of(rating) for text, rating in table.items()}
        other = score_of(default)
        return cls(lambda trajectory: scores.get(trajectory.steps[-1].key, other))

    def submit(self, ticket: int, request: Request) -> None:
        """Take a request."""
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        self._waiting.append((ticket, request))

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Answer everything that waits."""
        answers: list[tuple[int, Answer | BackendError]] = []
        while self._waiting:
            ticket, request = self._waiting.popleft()
            answers.append((ticket, self._answer(request.trajectory)))
        return answers

    def cancel(self, ticket: int) -> None:
        """Forget a request."""
        self._waiting = deque(item for item in self._waiting if item[0] != ticket)

    def token_bound(self, request: Request) -> int:
        """Return the words of the whole trajectory."""
        assert isinstance(request, Score), "a reward model bounds scores only"
        return self._totals(request.trajectory)[-1]

    def close(self) -> None:
        """Forget all requests."""
        self._waiting.clear()

    def scores(self, trajectory: Trajectory) -> tuple[StepScore, ...]:
        """Return the scores of all steps, each by itself and those before it."""
        return tuple(
            self._rate(Trajectory(trajectory.problem, trajectory.steps[: index + 1]))
            for index in range(len(trajectory.steps))
        )

    def _answer(self, trajectory: Trajectory) -> Answer:
        scores = self.scores(trajectory)
        totals = self._totals(trajectory)
        usage = Usage(reward_calls=1, reward_tokens=totals[-1], flops=None)
        return Answer(scores, usage, tuple(totals))

    def _totals(self, trajectory: Trajectory) -> list[int]:
        totals = [max(1, len(trajectory.problem.question.split()))]
        for step in trajectory.steps:
            totals.append(totals[-1] + max(1, len(step.text.split())))
        return totals
