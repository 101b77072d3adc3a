"""Rules as reward models, alone and over a model."""

from __future__ import annotations

import json

import pytest

from stepnav import build
from stepnav.answers.equations import equations_hold
from stepnav.build.rewards import open_task_reward
from stepnav.build.rules import split_rule
from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Score
from stepnav.front.origin import digests
from stepnav.rewards.equations import EquationsReward
from stepnav.rewards.function import FunctionReward
from stepnav.rewards.scripted import ScriptedReward
from stepnav.rewards.vetoed import Vetoed
from stepnav.testing import _ask as ask
from stepnav.testing import check_reward
from tests.cli.test_main import fails_with_one_line

PROBLEM = Problem("p", "What is 2 + 2?")


def solution(*texts: str) -> Trajectory:
    return Trajectory(PROBLEM, tuple(Step(text) for text in texts))


TRIED = [
    solution("2 + 2 = 4\n"),
    solution("Let us see.\n", "2 + 2 = 5\n"),
    solution("2 + 2 = 5\n", "#### 5"),
]


def half(question: str, steps: list[str]) -> list[float]:
    return [0.5] * len(steps)


def test_a_step_is_wrong_if_an_equation_in_it_is_false() -> None:
    found = ask(EquationsReward(equations_hold), Score(solution("Hm.\n", "2+2=4\n", "2+2=5\n")))
    assert [score.rating for score in found.items] == [1, 1, -1]


def test_the_lower_of_both_scores_counts() -> None:
    reward = Vetoed(EquationsReward(equations_hold), FunctionReward(half))
    found = ask(reward, Score(solution("Hm.\n", "2+2=4\n", "2+2=5\n")))
    assert [score.value for score in found.items] == [0.5, 0.5, 0.0]


def test_an_opinion_is_kept_where_the_rule_says_nothing() -> None:
    neutral = ScriptedReward.from_table({}, default=0)
    found = ask(Vetoed(EquationsReward(equations_hold), neutral), Score(solution("Hm.\n")))
    assert [score.rating for score in found.items] == [0]


def test_the_model_alone_is_charged() -> None:
    model = FunctionReward(half)
    request = Score(TRIED[1])
    usage = ask(Vetoed(EquationsReward(equations_hold), model), request).usage
    assert usage == ask(FunctionReward(half), request).usage


def test_the_contract_of_reward_models() -> None:
    check_reward(lambda: EquationsReward(equations_hold), TRIED)
    check_reward(lambda: Vetoed(EquationsReward(equations_hold), FunctionReward(half)), TRIED)


def test_a_failure_of_the_model_is_told() -> None:
    def fail(question: str, steps: list[str]) -> list[float]:
        raise ValueError("no")

    reward = Vetoed(EquationsReward(equations_hold), FunctionReward(fail))
    reward.submit(1, Score(TRIED[0]))
    ((_, answer),) = reward.poll(5)
    assert "no" in str(answer)


def test_an_answer_that_comes_after_all_is_ignored() -> None:
    class Late(FunctionReward):
        def cancel(self, ticket: int) -> None:
            """Answer all the same, as a backend may."""

    reward = Vetoed(EquationsReward(equations_hold), Late(half))
    reward.submit(1, Score(TRIED[0]))
    reward.cancel(1)
    assert len(ask(reward, Score(TRIED[1])).items) == 2


@pytest.mark.parametrize(
    ("name", "rule", "model"),
    [
        ("equations", "equations", ""),
        ("execution+./a+b", "execution", "./a+b"),
        ("./a+b", "", "./a+b"),
        ("equations+", "", "equations+"),
        ("oracle", "", "oracle"),
    ],
)
def test_names_of_rules(name: str, rule: str, model: str) -> None:
    assert split_rule(name) == (rule, model)


def test_a_rule_over_each_kind_of_model(tmp_path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def rate(question, steps):\n    return [0.5] * len(steps)\n")
    for model in (f"{own}:rate", "arithmetic", "likelihood:arithmetic", "judge:arithmetic"):
        build.check_models(
            policy="arithmetic", reward=f"equations+{model}", task=_task(), policy_model=None
        )
        reward = open_task_reward(f"equations+{model}", _task(), {})
        assert isinstance(reward, Vetoed)
        reward.close()


def test_a_rule_over_the_policy_as_its_own_judge() -> None:
    with build.open_models(policy="arithmetic", reward="equations+judge", task=_task()) as models:
        assert isinstance(models.reward, Vetoed)


def test_rules_are_for_what_they_can_read() -> None:
    for reward, task in (("equations", "micro-python"), ("execution+arithmetic", "arithmetic")):
        with pytest.raises(ConfigError, match="execution is for"):
            build.check_models(
                policy=None, reward=reward, task=build.load_task(task), policy_model=None
            )
    with pytest.raises(ConfigError, match="equations is a rule and has no weights"):
        build.reward_folder("equations")
    with pytest.raises(ConfigError, match="nothing-here"):
        build.check_models(
            policy=None, reward="equations+nothing-here", task=_task(), policy_model=None
        )


def test_a_run_with_a_rule_over_ones_own_function_is_known_by_that_code(tmp_path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def rate(question, steps):\n    return [0.5] * len(steps)\n")
    assert digests(None, f"equations+{own}:rate") == digests(None, f"{own}:rate")


def test_evaluating_a_rule_that_needs_a_task_leaves_nothing_behind(tmp_path) -> None:
    data = tmp_path / "steps.jsonl"
    row = {"id": "1", "problem": "2 + 2?", "steps": ["It is 4."], "label": -1}
    data.write_text(json.dumps(row) + "\n")
    for reward in ("execution", "execution+arithmetic"):
        out = tmp_path / "eval"
        line = fails_with_one_line("eval-prm", "--reward", reward, "--data", data, "--out", out)
        assert "is of a task" in line
        assert not out.exists()


def _task():
    return build.load_task("arithmetic")
