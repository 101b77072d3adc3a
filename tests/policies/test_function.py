"""Functions as policies."""

from __future__ import annotations

from stepnav.core.records import Problem, Trajectory
from stepnav.core.requests import Complete
from stepnav.policies.function import FunctionPolicy


def test_a_guess_in_a_thought_ends_no_solution() -> None:
    texts = ["<think>\n", "#### 5?\n", "</think>\n", "#### 4\n", "#### 3\n"]
    policy = FunctionPolicy(lambda question, steps: texts[len(steps)])
    policy.submit(0, Complete(Trajectory(Problem("p", "2 + 2?")), seed=1))
    ((_, answer),) = policy.poll(10)
    assert [step.text for step in answer.items[0].steps] == texts[:4]  # type: ignore[union-attr]
    policy.close()
