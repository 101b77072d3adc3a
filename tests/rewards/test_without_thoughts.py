"""A reward model that is not shown thoughts."""

from __future__ import annotations

from typing import Any

import pytest

from stepnav import build
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.models import ModelOptions
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Score
from stepnav.policies.function import FunctionPolicy
from stepnav.rewards.function import FunctionReward
from stepnav.rewards.without_thoughts import WithoutThoughts
from stepnav.testing import _ask as ask
from stepnav.testing import check_reward

PROBLEM = Problem("p", "What is 2 + 2?")
ANSWER = ("It is 4.\n", "#### 4")


def write(question: str, steps: Any) -> str:
    return "#### 4"


def solution(*texts: str) -> Trajectory:
    return Trajectory(PROBLEM, tuple(Step(text, "step", 1) for text in texts))


@pytest.mark.parametrize(
    ("thought", "answer"),
    [
        ((), ANSWER),
        (("<think>\nTwo.\n\n", "And two.\n</think>"), ANSWER),
        (("Two.\n\n", "And two.</think>"), ANSWER),  # the template wrote the mark
        (("<think>\nTwo.\n\n", "And"), ()),  # still thinking
        (("<think>\n", "Two.\n", "</think>\n"), ANSWER),  # steps that end at line breaks
        (("Two.\n", "And two.</think>\n"), ANSWER),
    ],
)
def test_only_the_answer_is_shown(thought: tuple[str, ...], answer: tuple[str, ...]) -> None:
    shown: list[Any] = []

    def rate(question: str, steps: Any) -> list[float]:
        shown.append(tuple(steps))
        return [0.25] * len(steps)

    reward = build.without_thoughts(FunctionReward(rate), FunctionPolicy(write))
    assert reward is not None
    request = Score(solution(*thought, *answer))
    found = ask(reward, request)
    assert shown == ([answer] if answer else shown)
    assert [score.value for score in found.items] == [1.0] * len(thought) + [0.25] * len(answer)
    if found.prefix_tokens is not None:
        assert len(found.prefix_tokens) == len(thought) + len(answer) + 1
        assert list(found.prefix_tokens) == sorted(found.prefix_tokens)
    check_reward(lambda: reward, [request.trajectory])


def shown_of(*texts: str, before: str = "") -> tuple[list[Any], list[float]]:
    shown: list[Any] = []

    def rate(question: str, steps: Any) -> list[float]:
        shown.extend(steps)
        return [0.25] * len(steps)

    found = ask(WithoutThoughts(FunctionReward(rate), before), Score(solution(*texts)))
    return shown, [score.value for score in found.items]


def test_of_the_step_in_which_the_thought_ends_the_rest_is_shown() -> None:
    found = shown_of("<think>\n", "Two, so 5.</think>It is 4.\n", "#### 4")
    assert found == (["It is 4.\n", "#### 4"], [1.0, 0.25, 0.25])


def test_a_thought_that_the_prompt_opened_is_known_before_it_ends() -> None:
    assert shown_of("Two and two.\n", "So 5.\n", before="<think>") == ([], [1.0, 1.0])
    assert shown_of("So 5.\n", "</think>\n", "4", before="<think>") == (["4"], [1.0, 1.0, 0.25])


def test_a_command_tells_the_reward_model_what_the_policys_prompt_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def as_models(**names: Any) -> build.Models:
        policy = FunctionPolicy(write)
        monkeypatch.setattr(policy, "before_solutions", "<think>", raising=False)
        return build.Models(policy, FunctionReward(lambda question, steps: [0.25] * len(steps)), [])

    monkeypatch.setattr(build, "open_models", as_models)
    used = Chosen.of(
        ModelOptions(skip_thoughts=True), build.load_task("arithmetic"), [build.strategy("hgs")]
    )
    with used.open() as models:
        assert models.reward is not None
        found = ask(models.reward, Score(solution("Two and two.\n", "So 5.\n")))
    assert [score.value for score in found.items] == [1.0, 1.0]
