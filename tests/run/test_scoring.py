"""Scoring many trajectories outside a search."""

from __future__ import annotations

from typing import Any

import pytest

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendDown, BackendError
from stepnav.core.records import Problem, Step, StepScore, Trajectory
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.scoring import score_trajectories


def trajectory(number: int) -> Trajectory:
    return Trajectory(Problem(f"p{number}", "?"), (Step(f"step {number}"),))


class Backwards(ScriptedReward):
    """Answers one request per poll, the last one first, and remembers how many were open."""

    def __init__(self) -> None:
        super().__init__(lambda t: StepScore(0.0, 0.0, 1.0))
        self.most_open = 0

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        self.most_open = max(self.most_open, len(self._waiting))
        ticket, request = self._waiting.pop()
        if request.trajectory.problem.id == "p3":
            return [(ticket, BackendError("too long"))]
        if request.trajectory.problem.id == "p99":
            return [(ticket, BackendDown("out of memory"))]
        return [(ticket, self._answer(request.trajectory))]


def test_each_answer_comes_under_its_own_position_and_few_are_open():
    backend = Backwards()
    found: dict[int, Any] = dict(score_trajectories(backend, map(trajectory, range(7)), max_open=3))
    assert sorted(found) == list(range(7))
    assert backend.most_open == 3
    assert isinstance(found[3], BackendError)
    assert all(len(found[n].items) == 1 for n in range(7) if n != 3)


def test_a_backend_that_is_down_stops_everything():
    with pytest.raises(BackendDown, match="out of memory"):
        list(score_trajectories(Backwards(), map(trajectory, (1, 2, 99))))


def test_nothing_to_score():
    assert list(score_trajectories(Backwards(), [])) == []
