import shutil
from contextlib import closing
from pathlib import Path

import pytest

from stepnav import build
from stepnav.build import rewards
from stepnav.core.errors import ConfigError
from stepnav.core.options import arguments_of
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Score
from stepnav.policies.local import PolicyFormat
from stepnav.tasks.micro_python import problems as micro_python
from stepnav.zoo import MODELS_FOLDER

PROBLEM_ID = "micro-python-dev-0-0"


def test_a_tasks_temperature_is_a_default_only():
    plain = build.parse_strategy("hgs")
    assert plain.for_budget(None).options["temperature"] == 0.5
    assert plain.for_budget(None, temperature=0.2).options["temperature"] == 0.2
    given = build.parse_strategy("hgs:temperature=0.7")
    assert given.for_budget(None, temperature=0.2).options["temperature"] == 0.7
    greedy = build.parse_strategy("cot")
    assert greedy.for_budget(None, temperature=0.2).options["temperature"] == 0.0
    assert greedy.for_plan([9], temperature=0.2).options["temperature"] == 0.0


def test_a_strategy_may_have_defaults_of_its_own_for_options_that_it_shares():
    nav, beam = (build.parse_strategy(name) for name in ("nav", "beam"))
    assert [found.known_options["temperature"].default for found in (nav, beam)] == [0.5, 1.0]
    assert nav.function is not None
    steps = arguments_of(nav.function, {"top_p": 0.9})["steps"]
    assert (steps.temperature, steps.top_p, steps.first_greedy) == (0.5, 0.9, True)


def test_code_tasks_have_the_papers_temperature_and_ends_of_their_own():
    for name in ("humaneval", "mbpp"):
        task = build.load_task(name)
        assert task.temperature == 0.2
        assert task.answer_pattern and task.chat_answer_pattern
        assert task.answer_pattern != task.chat_answer_pattern
        assert task.rate_steps is None
    assert build.load_task("micro-python").temperature is None
    assert build.load_task("gsm8k").temperature is None


def test_a_code_task_grades_in_the_sandbox():
    task = build.load_task("micro-python")
    (problem,) = task.load("dev", 1, 0, None)
    assert problem.id == PROBLEM_ID
    assert task.grade(problem, problem.answer) is True
    assert task.grade(problem, "    return None\n") is False
    assert task.grade(problem, "    import os\n    os._exit(0)\n    return 1\n") is False
    assert task.grade(problem, None) is False
    own = micro_python.ask("Write solve(xs), which returns xs.")
    assert task.grade(own, "    return xs\n") is None


def test_the_embedded_code_task_refuses_what_it_has_not():
    task = build.load_task("micro-python")
    with pytest.raises(ConfigError, match="leave --data out"):
        task.load("dev", 1, 0, Path("x"))
    with pytest.raises(ConfigError, match=r"no split 'tset' \(did you mean 'test'\?\)"):
        task.load("tset", 1, 0, None)


def ratings(problem: Problem, body: str, finish: str) -> list[int]:
    task = build.load_task("micro-python")
    reward = rewards.open_task_reward("execution", task, {})
    lines = body.splitlines(keepends=True)
    steps = [Step(line) for line in lines[:-1]] + [Step(lines[-1], finish)]
    reward.submit(0, Score(Trajectory(problem, tuple(steps))))
    ((_, answer),) = reward.poll(0)
    return [score.rating for score in answer.items]


def test_execution_as_a_reward_runs_the_public_tests():
    problem = micro_python.problem(PROBLEM_ID)
    body = "".join(micro_python.solve(PROBLEM_ID))
    right = [1] * body.count("\n")
    assert ratings(problem, body, "end") == right
    assert ratings(problem, body, "step") == right
    last = body.splitlines()[-1]
    assert ratings(problem, body.replace(last, "    return None"), "end") == [*right[:-1], -1]
    assert ratings(problem, body.replace(last, "    return ("), "step") == right
    assert ratings(problem, body.replace(last, "    return )"), "step") == [*right[:-1], -1]
    own = micro_python.ask("Write solve(xs), which returns xs.")
    assert ratings(own, "    return xs\n", "end") == [0]


def test_execution_is_for_code_only():
    with pytest.raises(ConfigError, match="arithmetic has no programs to run"):
        build.check_models(
            policy="arithmetic",
            reward="execution",
            task=build.load_task("arithmetic"),
            policy_model=None,
        )
    with pytest.raises(ConfigError, match=r"'humanevl' is no code task \(did you mean 'humaneval'"):
        build.load_programs("humanevl", None)


def test_a_likelihood_is_read_in_its_models_own_format(tmp_path):
    shutil.copytree(MODELS_FOLDER / "plain-policy", tmp_path / "m")
    PolicyFormat("Q: {question} A: ", separator=";", add_bos=False).save(tmp_path / "m")
    for name, shown in (
        ("plain", ("{question}\n", "\n", True)),
        (tmp_path / "m", ("Q: {question} A: ", ";", False)),
    ):
        with closing(build.open_reward(f"likelihood:{name}")) as reward:
            own = reward.format
            assert (own.prompt_template, own.separator, own.add_bos) == shown
    PolicyFormat(is_chat=True).save(tmp_path / "m")
    with pytest.raises(ConfigError, match=r"m is asked in a chat .*; name another model"):
        build.open_reward(f"likelihood:{tmp_path / 'm'}")


def test_a_file_without_a_name_in_it_is_no_folder_and_says_what_to_give(tmp_path):
    (tmp_path / "mine.py").write_text("")
    for options in ({"policy": f"{tmp_path}/mine.py"}, {"reward": f"{tmp_path}/mine.py"}):
        names = {"policy": "arithmetic", "reward": None, **options}
        with pytest.raises(ConfigError, match=r"mine\.py is a file; .*give FILE\.py:NAME"):
            build.check_models(**names, task=build.load_task("arithmetic"), policy_model=None)


def test_a_reward_models_folder_is_found_behind_its_family(tmp_path):
    assert build.reward_folder(f"skywork:{tmp_path}") == tmp_path
    assert build.reward_folder(f"likelihood:{tmp_path}") == tmp_path
    assert build.reward_folder(str(tmp_path)) == tmp_path
    assert build.policy_folder(str(tmp_path)) == tmp_path
    assert build.policy_folder("arithmetic") == MODELS_FOLDER / "arithmetic-policy"
    assert build.policy_folder("http://localhost:8000/v1") is None
    assert build.reward_folder("arithmetic") == MODELS_FOLDER / "arithmetic-prm"


@pytest.mark.parametrize("name", sorted(build.EMBEDDED_TASKS))
def test_rows_named_like_an_embedded_task_are_no_such_task(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.jsonl"
    path.write_text('{"question": "What is 2 + 2?", "answer": "4"}\n')
    task = build.load_task(str(path))
    assert task.name == f"{name}-rows"
    with pytest.raises(ConfigError, match="no policy ships"):
        build.choose_models(task, [], None, None)
