"""The front door: what `import stepnav` gives, tried as a user would, without models' weights."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import threading
import typing
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import stepnav
from stepnav import build
from stepnav.core.budget import Budget
from stepnav.core.errors import BackendError, ConfigError, DataError
from stepnav.core.outcome import Outcome
from stepnav.core.records import Step, StepScore
from stepnav.core.requests import Sampling, complete
from stepnav.core.strategy import Strategy
from stepnav.files.lock import locked
from stepnav.front.origin import function_digest
from stepnav.measure.plan_file import read_plan
from stepnav.tasks.own import own_task
from tests.forks import is_true_in_fork

ROWS = [
    {"question": "What is 2 + 2?", "answer": "4"},
    {"question": "What is 3 + 4?", "answer": "7"},
    {"question": "What is 10 - 3?", "answer": "7"},
]


def propose(question, steps, *, temperature, seed):
    """Write one step, then an answer; at temperature 0 it is always 4."""
    if not steps:
        return "Let me see.\n"
    return "#### 4" if temperature == 0 or seed % 3 else "#### 7"


def rate(question, steps):
    """Like answers that are right."""
    right = "7" if "3" in question else "4"
    return [0.9 if "####" not in step else float(right in step) for step in steps]


def test_every_public_name_is_there_and_nothing_else():
    assert set(stepnav.__all__) <= set(dir(stepnav))
    for name in stepnav.__all__:
        assert getattr(stepnav, name) is not None
    assert set(build.STRATEGIES) <= set(stepnav.__all__)
    assert 18 <= len(set(stepnav.__all__) - set(build.STRATEGIES)) <= 22
    with pytest.raises(AttributeError, match="no attribute 'sovle'"):
        stepnav.sovle  # noqa: B018


def test_importing_it_loads_almost_nothing():
    code = "import sys, stepnav; print(*sorted(m for m in sys.modules if m.startswith('stepnav')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["stepnav"]


def test_solve_with_functions():
    found = stepnav.solve("What is 3 + 4?", policy=propose, reward=rate, strategy="hgs")
    assert (found.answer, found.stop_reason) == ("7", "accepted")
    assert found.text.endswith("#### 7")
    assert found.usage.policy_tokens > 0
    assert found.result.tree.nodes[1].step.text == "Let me see.\n"


def test_options_of_strategies_are_checked():
    assert stepnav.hgs(branching=16).options == {"branching": 16}
    assert stepnav.hgs(branching=16).label == "hgs:branching=16"
    with pytest.raises(ConfigError, match=r"hgs.branching must be at least 1 \(got 0\)"):
        stepnav.hgs(branching=0)
    with pytest.raises(ConfigError, match="calls option 'children' 'branching' now"):
        stepnav.hgs(children=3)
    with pytest.raises(ConfigError, match=r"no option 'branchng' \(did you mean 'branching'\?\)"):
        stepnav.hgs(branchng=3)


def test_asolve_and_async_functions():
    async def policy(question, steps):
        await asyncio.sleep(0)
        return "#### 4"

    async def reward(question, steps):
        return [1] * len(steps)

    found = asyncio.run(stepnav.asolve("What is 2 + 2?", policy=policy, reward=reward))
    assert found.answer == "4"


def test_stream_shows_the_steps_and_then_the_solution():
    *steps, last = stepnav.stream("What is 2 + 2?", policy=propose, reward=rate, seed=2)
    assert last.solution.answer == "4"
    assert steps[0].node.step.text == "Let me see.\n"
    assert all(event.solution is None for event in steps)


def test_leaving_a_stream_leaves_the_search():
    asked = []

    def policy(question, steps):
        asked.append(len(steps))
        return "again\n"

    events = stepnav.stream("Why?", policy=policy, reward=rate, budget=10_000)
    next(events)
    events.close()
    assert len(asked) < 20


def test_bench_over_rows(tmp_path, capsys):
    results = stepnav.bench(
        ROWS, ["cot", "hgs", stepnav.best_of_n(samples=4)], policy=propose, reward=rate,
        budgets=[40, 80],
    )  # fmt: skip
    assert len(results.rows) == len(results.trees) == 3 * 3 * 2
    accuracy = {row.label: row.accuracy for row in results.summary if row.budget == 80}
    assert set(accuracy) == {"cot", "hgs", "best_of_n:samples=4"}
    assert sum(row.correct for row in results.rows if row.label == "hgs" and row.budget == 80) == 3
    assert sum(row.correct for row in results.rows if row.label == "cot" and row.budget == 80) == 1
    assert results.table().count("|") > 20
    results.trees[0].show()
    assert "What is 2 + 2?" in capsys.readouterr().out
    assert "srcdoc=" in results.trees[0]._repr_html_()


def test_rows_and_trees_come_in_the_order_of_the_problems():
    rows = [{"question": f"q{i}", "answer": str(i)} for i in range(11)]
    results = stepnav.bench(rows, ["cot", "hgs"], policy=lambda q, steps: f"#### {q[1:]}",
                            reward=rate)  # fmt: skip
    assert [row.answer for row in results.rows] == [row["answer"] for row in rows] * 2
    assert [tree.result.answer for tree in results.trees] == [row.answer for row in results.rows]


@pytest.mark.parametrize("seed", [3.0, np.int64(3), np.array([3])[0]])
def test_a_seed_is_a_whole_number_of_any_kind(seed):
    def policy(question, steps, *, seed):
        return f"#### {seed}"

    def solved(seed):
        return stepnav.solve("a", policy=policy, strategy="self_consistency", seed=seed).answer

    def compared(seeds, seed):
        found = stepnav.bench(ROWS[:1], "self_consistency", policy=policy, seeds=seeds, seed=seed)
        return [row.answer for row in found.rows]

    assert solved(seed) == solved(3)
    assert compared(np.int64(2), seed) == compared(2, 3)


@pytest.mark.parametrize("seed", ["3", True, 3.5, None])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    for call in (
        lambda: stepnav.solve("a", policy=propose, strategy="cot", seed=seed),
        lambda: stepnav.bench(ROWS[:1], "cot", policy=propose, seed=seed),
        lambda: stepnav.bench(ROWS[:1], "cot", policy=propose, seeds=seed),
    ):
        with pytest.raises(ConfigError, match=r"seeds? must be a whole number"):
            call()


@pytest.mark.parametrize("budgets", [50, np.array([50]), [50.0], (np.int64(50),)])
def test_one_strategy_and_one_budget_may_stand_by_themselves(budgets):
    for strategies in ("cot", stepnav.cot, ["cot"]):
        results = stepnav.bench(ROWS[:1], strategies, policy=propose, budgets=budgets)
        assert [(row.label, row.budget) for row in results.rows] == [("cot", 50)]


def test_bench_over_a_file_can_be_resumed(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    asked = []

    def policy(question, steps):
        asked.append(question)
        return "#### 7"

    told = []
    arguments = {
        "policy": policy, "out": tmp_path / "run", "progress": lambda *counts: told.append(counts),
    }  # fmt: skip
    first = stepnav.bench(str(file), ["cot"], **arguments)
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    again = stepnav.bench(str(file), ["cot"], **arguments)
    assert len(asked) == 3 and set(told[4:]) == {(3, 3)}
    assert [row.correct for row in first.rows] == [row.correct for row in again.rows]


def test_a_shipped_policy_is_prompted_as_it_was_trained_on_any_task():
    problems = stepnav.load_task("arithmetic").load("dev", 8, 0, None)
    rows = [{"question": one.question, "answer": one.answer} for one in problems]
    own = stepnav.bench("arithmetic", ["cot"], count=8, split="dev")
    as_rows = stepnav.bench(rows, ["cot"], policy="arithmetic")
    texts = [[tree.result.outcome.trajectory.text for tree in one.trees] for one in (own, as_rows)]
    assert texts[0] == texts[1]
    assert [row.correct for row in own.rows] == [row.correct for row in as_rows.rows]


def test_a_mended_grade_grades_what_a_folder_holds(tmp_path):
    def run(grade):
        task = own_task(ROWS, grade=grade)
        return stepnav.bench(task, ["cot"], policy=propose, out=tmp_path)

    assert [row.correct for row in run(lambda answer, reference: 1 / 0).rows] == [None] * 3
    rows = run(lambda answer, reference: answer == reference).rows
    assert [row.correct for row in rows] == [True, False, False]


def answering(answer):
    return lambda question, steps: f"#### {answer}"


def test_a_folder_of_another_model_is_refused(tmp_path):
    right = {"policy": answering(4), "out": tmp_path / "run"}
    assert stepnav.bench(ROWS[:1], ["cot"], **right).rows[0].correct
    assert stepnav.bench(ROWS[:1], ["cot"], **right).rows[0].correct
    with pytest.raises(ConfigError, match="made with policy_digest="):
        stepnav.bench(ROWS[:1], ["cot"], policy=answering(5), out=tmp_path / "run")


def test_a_folder_of_other_options_is_refused(tmp_path):
    stepnav.bench("arithmetic", ["cot"], count=1, out=tmp_path)
    with pytest.raises(ConfigError, match="dtype=unset, now dtype=bfloat16"):
        stepnav.bench("arithmetic", ["cot"], count=1, dtype="bfloat16", out=tmp_path)
    assert read_plan(tmp_path).policy == "arithmetic"


def test_two_comparisons_do_not_share_a_folder(tmp_path):
    with locked(tmp_path), pytest.raises(ConfigError, match="at work in"):
        stepnav.bench(ROWS[:1], ["cot"], policy=propose, out=tmp_path)


def test_what_functions_hold_tells_them_apart():
    def adds(number):
        return lambda question, steps: number

    digests = [function_digest(adds(n)) for n in (4, 4, 5)]
    assert digests[0] == digests[1] != digests[2]
    assert function_digest(partial(propose, 4)) != function_digest(partial(propose, 5))
    assert function_digest(object()) is None


class Holder:
    def __init__(self, answer):
        self.answer, self.again = answer, self.method

    def __call__(self, question, steps):
        return f"#### {self.answer}"

    def method(self, question, steps):
        return f"#### {self.answer}"


def test_what_defaults_and_objects_hold_tells_them_apart():
    def by_default(answer):
        def place(question, steps, other=answer):
            return f"#### {other}"

        return place

    def by_name(answer):
        def word(question, steps, *, other=answer):
            return f"#### {other}"

        return word

    for make in (by_default, by_name, Holder, lambda answer: Holder(answer).method):
        digests = [function_digest(make(answer)) for answer in (4, 4, 5)]
        assert digests[0] == digests[1] != digests[2], make
        assert digests[0] is not None


class Counting:
    def __init__(self, answer):
        self._answer, self.calls = answer, 0

    def __call__(self, question, steps):
        self.calls += 1
        return f"#### {self._answer}"


def test_a_folder_knows_an_object_that_counts_its_calls(tmp_path):
    policy = Counting(4)
    for _ in range(2):
        stepnav.bench(ROWS[:1], ["cot"], policy=policy, out=tmp_path)
    assert policy.calls == 1
    with pytest.raises(ConfigError, match="policy_digest="):
        stepnav.bench(ROWS[:1], ["cot"], policy=Counting(5), out=tmp_path)


def test_a_folder_of_a_changed_strategy_is_refused(tmp_path):
    def made(reason):
        def mine(tree):
            yield from complete(tree.root.trajectory, 1, sampling=Sampling(0.0))
            return Outcome(None, reason)

        return mine

    arguments = {"policy": propose, "reward": rate, "out": tmp_path}
    for _ in range(2):
        stepnav.bench(ROWS[:1], made("finished"), **arguments)
    with pytest.raises(ConfigError, match="digest of mine="):
        stepnav.bench(ROWS[:1], made("length"), **arguments)


def test_a_backend_in_a_folder_with_results_is_told(tmp_path, caplog):
    for times in (0, 1):
        policy = stepnav.FunctionPolicy(propose)
        stepnav.bench(ROWS[:1], ["cot"], policy=policy, out=tmp_path)
        assert caplog.text.count("that it is this one cannot be told") == times


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "hsg"}, r"no strategy is called 'hsg' \(did you mean 'hgs'\?\)"),
        ({"policy": 7}, "a policy must be a name, a folder, a URL, a function or a backend"),
        ({"policy": "nowhere"}, "no model folder 'nowhere'"),
        ({"task": "arithmetc"}, r"no task is called 'arithmetc' \(did you mean 'arithmetic'\?\)"),
        ({"budget": -1}, "budget policy_tokens must be a number of at least 0"),
        ({"budget": 5.5}, r"budget must be a whole number \(got 5.5\)"),
        ({"budget": "5"}, r"budget must be a whole number \(got '5'\)"),
    ],
)
def test_what_cannot_be_used_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        stepnav.solve("Why?", **{"policy": propose, "reward": rate, **arguments})


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (lambda question, steps: [1], "one score per step, 2 here"),
        (lambda question, steps: ["good"] * len(steps), "a float in"),
        (lambda question, steps: 1 / 0, "the reward function raised ZeroDivisionError"),
    ],
)
def test_a_reward_function_that_returns_something_else(reward, message):
    with pytest.raises(BackendError, match=message):
        stepnav.solve("What is 2 + 2?", policy=propose, reward=reward, strategy="best_of_n")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda question, steps: 4, "must return the next step's text"),
        (lambda question, steps: [].pop(), "the policy function raised IndexError"),
        (lambda question, steps: ("#### 4", -1), "must return the next step's text"),
        (lambda question, steps: Step("#### 4", "end", -1), "must return the next step's text"),
        (lambda question, steps: Step("#### 4", "end", 1.5), "must return the next step's text"),
    ],
)
def test_a_policy_function_that_returns_something_else(policy, message):
    with pytest.raises(BackendError, match=message):
        stepnav.solve("What is 2 + 2?", policy=policy, strategy="cot")


@pytest.mark.parametrize("count", [3, np.int64(3)])
def test_numbers_of_functions_may_be_numpys(count):
    for score in (np.float32(0.9), np.float64(0.9), np.int64(1), 1):
        for written in (("#### 4 .", count), Step("#### 4 .", "end", count), "#### 4 ."):
            found = stepnav.solve("What is 2 + 2?", policy=lambda q, steps, step=written: step,
                                  reward=lambda q, steps, score=score: [score] * len(steps),
                                  strategy="best_of_n:samples=1")  # fmt: skip
            assert (found.answer, found.usage.policy_tokens) == ("4", 3)


@pytest.mark.parametrize("calls", [None, 12, 9, 8, 3])
def test_draws_that_were_known_are_calls_too(calls):
    asked = []

    def policy(question, steps, *, temperature):
        asked.append(steps)
        return "#### 4"

    budget = Budget(calls=calls)
    found = stepnav.solve("What is 2 + 2?", policy=policy, reward=lambda q, steps: [-1],
                          strategy="hgs:fallback=none", budget=budget)  # fmt: skip
    assert found.usage.policy_calls == len(asked) <= (calls or 9)
    assert calls is None or found.usage.calls <= calls
    assert found.stop_reason == ("exhausted" if calls in (None, 12) else "budget")


def test_scores_may_be_arrays_and_models_objects_that_are_awaited():
    class Policy:
        async def __call__(self, question, steps):
            return "#### 4"

    class Reward:
        async def __call__(self, question, steps):
            return np.full(len(steps), 0.9)

    found = stepnav.solve("What is 2 + 2?", policy=Policy(), reward=Reward(), strategy="best_of_n")
    assert found.answer == "4"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stepnav.solve("What \ud800?", policy=propose), "half of a surrogate pair"),
        (lambda: stepnav.solve(3, policy=propose), r"the question must be text \(got 3\)"),
        (lambda: stepnav.bench(ROWS, ["cot"], policy=propose, count=-1), "count must be at least"),
        (lambda: stepnav.bench(ROWS, "cot", policy=propose, count=1.5), "count must be a whole"),
        (lambda: stepnav.bench(ROWS, "cot", policy=propose, budgets=["5"]), "a budget must be a"),
        (lambda: stepnav.bench(ROWS, 3, policy=propose), "must be a generator function or a Strat"),
    ],
)
def test_bad_questions_and_counts_are_named(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_half_a_surrogate_pair_of_a_policy_function_is_replaced():
    result = stepnav.solve(
        "2 + 2?", strategy="cot", policy=lambda question, steps: "a\ud83d #### 4"
    )
    assert result.answer == "4"
    assert result.text == "a\ufffd #### 4"


def test_an_empty_question_is_no_misspelt_field():
    with pytest.raises(DataError, match="no text in the field 'question'; it has question, answer"):
        stepnav.bench([{"question": " ", "answer": 1}], ["cot"], policy=propose)


def test_rows_without_the_named_field():
    with pytest.raises(
        DataError, match=r"row 0 has no text in the field 'question'.*prompt, answer"
    ):
        stepnav.bench([{"prompt": "What?", "answer": 1}], ["cot"], policy=propose)


MINE = '''
from stepnav.core.options import Count
from stepnav.core.outcome import Outcome
from stepnav.core.requests import Sampling, complete, score

def search(tree, *, samples: Count = 2):
    """Take the first of some solutions."""
    solutions = yield from complete(tree.root.trajectory, samples, sampling=Sampling(1.0))
    tree.mark_path(tree.add_trajectory(solutions[0]), "chosen")
    yield from score(solutions[0])
    return Outcome(solutions[0], "finished")

def broken(tree):
    raise RuntimeError("oh no")
    yield

def plain(tree):
    return 7

def policy(question, steps):
    return "#### 4"

def reward(question, steps):
    return [1.0] * len(steps)

task = [{"question": "What is 2 + 2?", "answer": 4}]
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_a_plugin_of_each_kind(mine: Path):
    task = stepnav.load_task(f"{mine}:task")
    results = stepnav.bench(
        task, [f"{mine}:search:samples=3"], policy=f"{mine}:policy", reward=f"{mine}:reward"
    )
    (row,) = results.rows
    assert (row.label, row.correct, row.policy_calls, row.reward_calls) == (
        "search:samples=3", True, 3, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("serach", r"defines no 'serach' \(did you mean 'search'\?\)"),
        ("task", "must be a generator function or a Strategy"),
        ("search:samples=0", "search.samples must be at least 1"),
    ],
)
def test_a_strategy_plugin_that_cannot_be_used(mine: Path, name: str, message: str):
    with pytest.raises(ConfigError, match=message):
        stepnav.solve("Why?", strategy=f"{mine}:{name}", policy=propose, reward=rate)


def test_plugin_files_that_are_not_there_or_do_not_import(tmp_path: Path):
    (tmp_path / "bad.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(ConfigError, match="there is no file"):
        stepnav.load_task(f"{tmp_path}/none.py:task")
    with pytest.raises(ConfigError, match="does not import: ModuleNotFoundError"):
        stepnav.load_task(f"{tmp_path}/bad.py:task")


@pytest.mark.parametrize(
    ("name", "message"),
    [("broken", "the strategy broken failed: RuntimeError"), ("plain", "must be a generator")],
)
def test_a_strategy_that_fails_ends_its_own_search(mine: Path, name: str, message: str):
    results = stepnav.bench(
        ROWS, [f"{mine}:{name}", "cot"], policy=propose, reward=rate, baseline="cot"
    )
    failed = [tree.result.error for tree in results.trees if tree.result.error]
    assert len(failed) == 3 and all(message in error for error in failed)
    assert sum(row.label == "cot" and not row.failed for row in results.rows) == 3


def test_an_installed_plugin_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch):
    from stepnav.build import plugins

    def mine(tree, *, width: int = 2):
        yield from ()

    class Point:
        name, value = "mine", "package:mine"

        def load(self):
            return Strategy("mine", function=mine)

    def entry_points(group, name=None):
        return [Point()] if group == "stepnav.strategies" and name in (None, "mine") else []

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    from stepnav import build

    assert build.parse_strategy("mine:width=3").options == {"width": 3}
    with pytest.raises(ConfigError, match=r"there are: .*mine"):
        build.parse_strategy("mone")


def test_a_broken_plugin_hides_no_strategies(monkeypatch: pytest.MonkeyPatch, capsys):
    from stepnav.build import plugins
    from stepnav.cli.strategies import run

    class Point:
        name, value = "mine", "package:mine"

        def load(self):
            raise ImportError("no package")

    def entry_points(group, name=None):
        return [Point()] if group == "stepnav.strategies" and name in (None, "mine") else []

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    run()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(build.STRATEGIES) + 1
    assert lines[-1].startswith("mine") and "cannot be used: " in lines[-1]


def test_function_models_keep_to_the_contract():
    from stepnav import testing
    from stepnav.core.records import Problem, Step, Trajectory

    problems = [Problem(f"p{n}", row["question"]) for n, row in enumerate(ROWS)]
    testing.check_policy(lambda: stepnav.FunctionPolicy(propose), problems)
    steps = (Step("Let me see.\n"), Step("#### 4", "end"))
    solved = [Trajectory(problem, steps) for problem in problems]
    testing.check_reward(lambda: stepnav.FunctionReward(rate), solved)


def test_a_folder_of_other_questions_is_refused(tmp_path):
    stepnav.bench(ROWS[:1], ["cot"], policy=propose, out=tmp_path)
    with pytest.raises(ConfigError, match="data_digest"):
        stepnav.bench(ROWS[1:2], ["cot"], policy=propose, out=tmp_path)


class Sampled:
    """A strategy that is an object, which cannot be hashed."""

    __hash__ = None

    def __init__(self, width):
        self.width = width

    def __call__(self, tree, *, samples: int = 2):
        """Draw solutions."""
        yield from complete(tree.root.trajectory, samples, sampling=Sampling(1.0))
        return Outcome(None, "finished", counts={"width": self.width})


def test_an_object_that_is_called_is_a_strategy_too():
    found = stepnav.solve("Why?", strategy=Sampled(5), policy=propose, reward=rate)
    assert found.result.outcome.counts == {"width": 5}
    mine = Strategy("mine", function=Sampled(6))
    assert mine(samples=3).options == {"samples": 3}
    with pytest.raises(ConfigError, match="mine has no option 'n'"):
        mine(n=3)
    with pytest.raises(ConfigError, match="option 'b' of the strategy needs a default"):
        stepnav.solve("Why?", strategy=partial(lambda tree, a, b: 1, a=1), policy=propose)


def test_strategies_of_one_name_are_each_known_by_their_code(tmp_path):
    def compare(width):
        widths = {"one": width, "two": 2}
        both = [Strategy("mine", label=k, function=Sampled(v)) for k, v in widths.items()]
        stepnav.bench(ROWS, both, policy=propose, out=tmp_path)

    compare(1)
    with pytest.raises(ConfigError, match="digest of one"):
        compare(3)


def test_who_follows_a_search_may_end_it():
    def follow(node):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        stepnav.solve("Why?", policy=propose, reward=rate, on_change=follow)
    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        stepnav.solve("Why?", policy=propose, reward=rate, on_change=lambda node: next(iter(())))


def test_results_of_followed_searches_can_be_pickled():
    followed = stepnav.solve("Why?", policy=propose, reward=rate, on_change=lambda node: None)
    *_, last = stepnav.stream("Why?", policy=propose, reward=rate)
    for solution in (followed, last.solution):
        copy = pickle.loads(pickle.dumps(solution))
        assert copy.answer == "4" and len(copy.tree.tree.nodes) == len(solution.tree.tree.nodes)


def test_a_score_holds_probabilities():
    def reward(question, steps):
        return [StepScore(2.0, 0.0, -1.0) for _ in steps]

    with pytest.raises(BackendError, match=r"reward function raised ValueError.*not be negative"):
        stepnav.solve("Why?", policy=propose, reward=reward)
    assert StepScore(1 - 0.9 - 0.1, 0.1, 0.9).rating == 1  # the first is a little less than 0


def test_options_of_strategies_may_be_numpys():
    found = stepnav.hgs(branching=np.int64(4), temperature=np.float32(0.5), replace=np.True_)
    assert found == stepnav.hgs(branching=4, temperature=0.5, replace=True)
    assert found.label == "hgs:branching=4:temperature=0.5:replace=True"
    with pytest.raises(ConfigError, match=r"hgs\.branching must be a whole number \(got array"):
        stepnav.hgs(branching=np.array([2, 4]))


def test_a_file_is_no_folder_of_results(tmp_path):
    file = tmp_path / "mine.txt"
    file.touch()
    with pytest.raises(ConfigError, match=r"mine\.txt is a file; name a folder"):
        stepnav.bench(ROWS, "cot", policy=propose, out=file)


def test_what_bench_needs_is_checked_before_anything_is_asked(monkeypatch):
    def policy(question, steps):
        raise AssertionError("it was asked")

    found = importlib.util.find_spec
    missing = {"scipy", "matplotlib"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else found(name)
    )
    with pytest.raises(ConfigError, match=r"this needs scipy: pip install 'stepnav\[bench\]'"):
        stepnav.bench(ROWS, "cot", policy=policy)


def test_what_holds_no_problems_is_refused():
    with pytest.raises(ConfigError, match=r"problems must be a task, .* or rows .got None"):
        stepnav.bench(None, "cot", policy=propose)


def test_a_reward_model_may_be_a_path(tmp_path):
    with pytest.raises(ConfigError, match=r"no model folder .*missing"):
        stepnav.open_reward(tmp_path / "missing")


def test_a_misspelt_argument_is_refused():
    with pytest.raises(ConfigError, match="there is no argument 'bugdet'"):
        stepnav.solve("Why?", policy=propose, reward=rate, bugdet=3)


def test_a_cancelled_asolve_asks_nothing_more():
    asked = []

    async def policy(question, steps):
        asked.append(len(steps))
        await asyncio.sleep(0.02)
        return "again\n"

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(
                stepnav.asolve("Why?", policy=policy, reward=rate, budget=10**6), 0.3
            )
        await asyncio.sleep(0.2)
        before = len(asked)
        await asyncio.sleep(0.3)
        assert len(asked) == before

    asyncio.run(main())


def told(question, steps):
    """Answer with the question's last word."""
    return "Let me see.\n" if not steps else f"#### {question.split()[-1]}"


def test_searches_at_once_may_share_open_models():
    models = {"policy": stepnav.FunctionPolicy(told), "reward": stepnav.FunctionReward(rate)}
    first, second = (stepnav.stream(f"Why {number}", **models) for number in (1, 2))
    next(first)
    assert [*second][-1].solution.answer == "2"
    assert [*first][-1].solution.answer == "1"

    async def main():
        asked = (stepnav.asolve(f"Why {number}", **models) for number in range(8))
        return [solution.answer for solution in await asyncio.gather(*asked)]

    assert asyncio.run(asyncio.wait_for(main(), 30)) == [*"01234567"]


@pytest.mark.parametrize("reward", ["judge", "equations+judge", "no-such-model"])
def test_an_open_model_stays_open(reward):
    class Policy(stepnav.FunctionPolicy):
        num_closed = 0

        def close(self):
            self.num_closed += 1
            super().close()

    policy = Policy(told)
    for _ in range(2):
        try:
            assert stepnav.solve("Why 4", policy=policy, reward=reward, budget=50).answer == "4"
        except ConfigError:
            assert reward == "no-such-model"
    assert policy.num_closed == 0


def test_a_coroutine_that_is_cancelled_or_ends_the_process_is_an_error_of_its_own():
    async def cancelled(question, steps):
        raise asyncio.CancelledError

    async def ending(question, steps):
        raise SystemExit(3)

    for policy, message in ((cancelled, "was cancelled"), (ending, "tried to end the process")):
        with pytest.raises(BackendError, match=message):
            stepnav.solve("Why?", policy=policy, strategy="cot")


def test_a_function_is_a_strategy_too():
    def first(tree):
        from stepnav.core.outcome import Outcome
        from stepnav.core.requests import GREEDY, complete

        (solution,) = yield from complete(tree.root.trajectory, sampling=GREEDY)
        return Outcome(solution, "finished")

    assert stepnav.solve("What?", strategy=first, policy=propose, reward=rate).answer == "4"


@pytest.mark.parametrize(("function", "name"), [("solve", "strategy"), ("bench", "strategies")])
def test_types_allow_a_function_as_a_strategy(function, name):
    hint = typing.get_type_hints(getattr(stepnav, function))[name]
    assert Callable in map(typing.get_origin, typing.get_args(hint))


WRITTEN = ["#### Step 1: count\n", "2 + 2 = 4\n", "#### 4\n", "never seen"]


@pytest.mark.parametrize(
    ("task", "steps"),
    [
        ("gsm8k", 3),
        ("gsm-plus", 3),
        ("asdiv", 3),
        ("math500", 4),  # a heading of Markdown, whatever comes after it
        ("humaneval", 4),  # a comment
        ("plain", 1),  # no word from the task
    ],
)
def test_a_functions_solution_ends_where_the_tasks_answers_stand(task, steps):
    found = stepnav.solve(
        "What is 2 + 2?",
        task=task,
        strategy="cot",
        policy=lambda question, steps: WRITTEN[len(steps)],
    )
    assert found.text == "".join(WRITTEN[:steps])


def test_a_chat_is_not_ended_by_a_heading():
    from stepnav.build.plugins import as_policy
    from stepnav.serve.house import chat_task

    policy = as_policy(lambda question, steps: "#### Begin\n", chat_task())
    assert policy.step("#### Begin\n", 9, "").finish == "step"


def solve_with_itself(is_open, is_async):
    """Search with a policy that searches with itself."""

    def search(question):
        return stepnav.solve(question, policy=policy, strategy="cot").answer

    async def search_later(question):
        return (await stepnav.asolve(question, policy=policy, strategy="cot")).answer

    def call(question, steps):
        return f"#### {search(question)}"

    async def call_later(question, steps):
        return f"#### {await search_later(question)}"

    function = call_later if is_async else call
    policy = stepnav.FunctionPolicy(function) if is_open else function
    try:
        return search("Why?")
    finally:
        if is_open:
            policy.close()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
def test_a_function_that_searches_with_itself_is_refused(is_open, is_async):
    with pytest.raises(BackendError, match="policy function searches with itself, which would"):
        solve_with_itself(is_open, is_async)


def test_a_function_may_search_with_others_and_with_itself_while_that_ends():
    def easier(question, steps):
        if question == "What is 4?":
            return "#### 4"
        found = stepnav.solve("What is 4?", policy=easier, reward=rate, strategy="best_of_n")
        return f"#### {found.answer}"

    assert stepnav.solve("What is 2 + 2?", policy=easier, strategy="cot").answer == "4"


def test_asolve_without_asyncio_says_what_to_do():
    coroutine = stepnav.asolve("Why?", policy=propose, reward=rate)
    with pytest.raises(ConfigError, match="asolve needs a running event loop of asyncio"):
        coroutine.send(None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_may_use_an_open_model_that_another_thread_searches_with():
    has_begun, may_end = threading.Event(), threading.Event()

    def policy(question, steps):
        has_begun.set()
        may_end.wait(30)
        return "#### 4"

    def is_found():
        may_end.set()
        return stepnav.solve("Why?", policy=opened, strategy="cot").answer == "4"

    with closing(stepnav.FunctionPolicy(policy)) as opened:
        asked = {"policy": opened, "strategy": "cot"}
        search = threading.Thread(target=stepnav.solve, args=("Why?",), kwargs=asked)
        search.start()
        assert has_begun.wait(10)
        try:
            assert all(is_true_in_fork(is_found) for _ in range(4))
        finally:
            may_end.set()
            search.join()
