from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest
from transformers import AutoTokenizer

from stepnav import build
from stepnav.core.errors import BackendError
from stepnav.core.records import Problem, Trajectory
from stepnav.policies.local.prompt import StepCutter
from stepnav.train.reward_function import as_reward_function
from stepnav.train.rl.judge import Judge, means
from stepnav.train.rl.token_steps import token_steps
from stepnav.zoo import MODELS_FOLDER

TASK = build.load_task("arithmetic")
PROBLEM = Problem("p", "How many?", "19")
RIGHT = "That makes 7 + 12 = 19 apples.\n#### 19"
WRONG = "That makes 7 + 12 = 18 apples.\n#### 18"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(MODELS_FOLDER / "arithmetic-policy")


def ids_of(tokenizer: Any, text: str, *, ended: bool = True) -> list[int]:
    ids = list(tokenizer.encode(text, add_special_tokens=False))
    return [*ids, tokenizer.eos_token_id] if ended else ids


@pytest.mark.parametrize(
    ("text", "ended", "texts", "finishes"),
    [
        (RIGHT, True, RIGHT.splitlines(keepends=True), ["step", "end"]),
        (
            "a\n\nb\n",
            True,
            ["a\n", "\nb\n"],
            ["step", "end"],
        ),  # what follows the last belongs to it
        ("\n", True, ["\n"], ["end"]),
        ("", True, [""], ["end"]),
        ("a\nb", False, ["a\n", "b"], ["step", "length"]),
        ("a\nb\n", False, ["a\n", "b\n"], ["step", "length"]),
    ],
)
def test_steps_end_where_their_tokens_end(
    tokenizer: Any, text: str, ended: bool, texts: list[str], finishes: list[str]
) -> None:
    ids = ids_of(tokenizer, text, ended=ended)
    cutter = StepCutter(tokenizer, "\n")
    steps = token_steps(ids, cutter, {tokenizer.eos_token_id})
    assert [step.text for step in steps] == texts
    assert [step.finish for step in steps] == finishes
    assert steps[-1].end == len(ids) - 1
    for step, next_step in pairwise(steps):
        assert "\n" in tokenizer.decode([ids[step.end]])
        assert next_step.end > step.end


def test_steps_are_those_of_the_search_engine(tokenizer: Any) -> None:
    with build.open_models(policy="arithmetic", reward=None, task=TASK) as models:
        from stepnav.core.requests import Complete, Sampling

        problem = TASK.load("dev", 1, 0, None)[0]
        models.policy.submit(0, Complete(Trajectory(problem), 8, Sampling(1.0), seed=3))
        answers: list[Any] = []
        while not answers:
            answers = models.policy.poll(1.0)
    for found in answers[0][1].items:
        ids = [token for step in found.steps for token in step.token_ids]
        if found.is_finished:
            ids.append(tokenizer.eos_token_id)
        steps = token_steps(ids, StepCutter(tokenizer, "\n"), {tokenizer.eos_token_id})
        assert [step.text for step in steps] == [step.text for step in found.steps]


def rated(question: str, steps: Sequence[str]) -> list[float]:
    return [0.2 if "18" in step else 0.9 for step in steps]


@pytest.fixture
def judge(tokenizer: Any) -> Iterator[Judge]:
    reward = as_reward_function(rated, aggregation="min")
    with closing(reward.backend):
        yield Judge(TASK, StepCutter(tokenizer, "\n"), {tokenizer.eos_token_id}, reward)


def test_solutions_are_judged(judge: Judge, tokenizer: Any) -> None:
    texts = [(RIGHT, True), (WRONG, True), ("So 19.\n#### 19", False), ("", True)]
    ids = [ids_of(tokenizer, text, ended=ended) for text, ended in texts]
    right, wrong, cut, blank = judge.judge([PROBLEM] * 4, ids)
    assert (right.outcome, right.values, right.process) == (1.0, (0.9, 0.9), 0.9)
    assert (wrong.outcome, wrong.values, wrong.process) == (0.0, (0.2, 0.2), 0.2)
    # the answer is right, but the solution did not end
    assert (cut.outcome, cut.values, cut.process) == (0.0, (0.9, 0.0), 0.0)
    assert (blank.outcome, blank.values, blank.process) == (0.0, (0.0,), 0.0)
    assert right.ends[-1] == len(ids[0]) - 1


def test_accepted_wrong_solutions_are_counted(judge: Judge, tokenizer: Any) -> None:
    fooled = "That makes 7 + 12 = 17 apples.\n#### 17"
    ids = [ids_of(tokenizer, text) for text in (RIGHT, WRONG, fooled, "")]
    found = means(judge.judge([PROBLEM] * 4, ids))
    assert found["right"] == 0.25
    assert found["accepted_wrong"] == 0.25
    assert found["process"] == pytest.approx((0.9 + 0.2 + 0.9 + 0.0) / 4)
    assert found["steps_per_solution"] == pytest.approx(7 / 4)
    assert found["tokens_per_solution"] == sum(map(len, ids)) / 4


def test_what_cannot_be_told_is_not_counted(tokenizer: Any) -> None:
    alone = Judge(TASK, StepCutter(tokenizer, "\n"), {tokenizer.eos_token_id}, None)
    (one,) = alone.judge([PROBLEM], [ids_of(tokenizer, WRONG)])
    assert (one.values, one.process, one.is_accepted_wrong) == ((), None, None)
    assert "process" not in means([one])


def test_a_solution_that_cannot_be_scored_has_no_values(tokenizer: Any) -> None:
    def some(question: str, steps: Sequence[str]) -> list[float]:
        return [0.9] * (len(steps) if "18" in steps[0] else 99)

    reward = as_reward_function(some)
    with closing(reward.backend):
        judge = Judge(TASK, StepCutter(tokenizer, "\n"), {tokenizer.eos_token_id}, reward)
        right, wrong = judge.judge([PROBLEM] * 2, [ids_of(tokenizer, t) for t in (RIGHT, WRONG)])
        assert (right.values, right.process, wrong.process) == ((), None, 0.9)
        with pytest.raises(BackendError, match="one score per step"):
            judge.judge([PROBLEM], [ids_of(tokenizer, RIGHT)])
