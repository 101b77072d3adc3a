"""Functions as policies."""

from __future__ import annotations

import threading

from stepnav.core.records import Problem, Trajectory
from stepnav.core.requests import Complete, Sampling
from stepnav.policies.function import FunctionPolicy


def test_a_guess_in_a_thought_ends_no_solution() -> None:
    texts = ["<think>\n", "#### 5?\n", "</think>\n", "#### 4\n", "#### 3\n"]
    policy = FunctionPolicy(lambda question, steps: texts[len(steps)])
    policy.submit(0, Complete(Trajectory(Problem("p", "2 + 2?")), seed=1))
    ((_, answer),) = policy.poll(10)
    assert [step.text for step in answer.items[0].steps] == texts[:4]  # type: ignore[union-attr]
    policy.close()


def test_the_function_is_not_called_for_a_request_that_was_left() -> None:
    calls, has_begun, may_go_on = list[int](), threading.Event(), threading.Event()

    def function(question: str, steps: list[str]) -> str:
        calls.append(len(steps))
        has_begun.set()
        may_go_on.wait(10)
        return "again\n"

    policy = FunctionPolicy(function)
    policy.submit(0, Complete(Trajectory(Problem("p", "Why?")), seed=1))
    assert has_begun.wait(10)
    policy.cancel(0)
    may_go_on.set()
    policy.submit(1, Complete(Trajectory(Problem("p", "Why?")), sampling=Sampling(max_tokens=1)))
    while not (answered := policy.poll(10)):
        pass
    policy.close()
    assert [ticket for ticket, _ in answered] == [1]
    assert len(calls) == 2
