"""Scores of many trajectories by one reward model, outside any search.

Many requests are open at once, so that the backend batches them and reads a shared prefix once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import BackendDown, BackendError
from stepnav.core.records import Trajectory
from stepnav.core.requests import Score

MAX_OPEN = 256
"""Requests that wait in the backend at once."""

WAIT_S = 0.5
"""Longest wait for one answer before the next look."""


def score_trajectories(
    backend: Backend, trajectories: Iterable[Trajectory], *, max_open: int = MAX_OPEN
) -> Iterator[tuple[int, Answer | BackendError]]:
    """Yield (position, answer) of every trajectory, in the order in which the answers come.

    Args:
      backend: answers `Score`; no other request may be open in it.
      trajectories: what to score, asked for in this order.
      max_open: most requests in the backend at once.
    Raises:
      BackendDown: the backend can answer nothing any more.
      StepnavError: a trajectory cannot be put to this model at all.
    """
    waiting = enumerate(trajectories)
    num_open = 0
    while True:
        for number, trajectory in islice(waiting, max_open - num_open):
            backend.submit(number, Score(trajectory))
            num_open += 1
        if not num_open:
            return
        for ticket, answer in backend.poll(WAIT_S):
            if isinstance(answer, BackendDown):
                raise answer
            num_open -= 1
            yield ticket, answer
