from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.strategy import Strategy
from stepnav.measure.plan import BenchPlan, Cell, cells
from stepnav.measure.rows import ResultRow
from stepnav.measure.tuned_file import Tuned, check_tuned, read_tuned, write_tuned
from stepnav.measure.tuning import Best, find_best, go_on, num_searches, parse_rungs, rank, winner
from tests.measure.rows_for_tests import make_row

IDS = [f"p{number:02}" for number in range(12)]
NAMES = "abcdefg"
PLAN = BenchPlan(
    "t",
    "dev",
    (Strategy("cot"), *(Strategy("s", {"n": n}, f"s:{n}") for n in NAMES)),
    problems=12,
    budgets=(100, 200),
)
SETTINGS = {label: label.upper() for label in PLAN.labels}


class World:
    """Runs cells by a rule that says who is right where, and counts them."""

    def __init__(self, is_right: Callable[[str, int | None, int], bool | None]) -> None:
        self.is_right = is_right
        self.done: dict[str, ResultRow] = {}
        self.runs: list[int] = []

    def run(self, only: Callable[[Cell], bool]) -> None:
        wanted = [c for c in cells(PLAN, IDS) if only(c) and c.search_id not in self.done]
        self.runs.append(len(wanted))
        for cell in wanted:
            label, number = cell.strategy.label, IDS.index(cell.problem_id)
            self.done[cell.search_id] = make_row(
                label, cell.budget, problem_id=cell.problem_id, policy_tokens=10 + len(label),
                correct=self.is_right(label, cell.budget, number),
            )  # fmt: skip

    def find(self) -> list[Best]:
        return find_best(
            PLAN, SETTINGS, IDS, (4, 8, 12), run=self.run, rows=lambda: list(self.done.values())
        )


def late(label: str, budget: int | None, number: int) -> bool:
    """At 100, b is the best of the first four problems and c of all; at 200, f is always right."""
    if budget == 200:
        return label == "s:f"
    return {"s:b": number < 3, "s:c": number != 0 and number != 1}.get(label, number == 0)


def test_the_best_third_goes_on_and_the_last_rung_decides() -> None:
    world = World(late)
    found = {(best.strategy, best.budget): best for best in world.find()}
    assert found["s", 100].setting == "S:C"
    assert (found["s", 100].problems, found["s", 100].accuracy) == (12, 10 / 12)
    assert (found["s", 100].tried, found["s", 100].policy_tokens) == (7, 13.0)
    assert found["s", 200].setting == "S:F"
    assert found["cot", 100] == Best("cot", 100, "COT", 1)  # without a rival nothing is run
    # at each of two budgets 7 rivals on 4 problems, then 3 on 4 more, then 2 on 4 more
    assert world.runs == [56, 24, 16]
    assert sum(world.runs) == 2 * num_searches(7, (4, 8, 12))


def test_a_share_of_the_graded_is_told_with_their_number() -> None:
    world = World(lambda label, budget, number: None if number % 3 == 0 else label == "s:a")
    for best in world.find():
        measured = (8, 1.0) if best.strategy == "s" else (0, None)
        assert (best.problems, best.accuracy) == measured


@pytest.mark.parametrize("kept", range(0, 96, 13))
def test_going_on_after_a_kill_comes_to_the_same(kept: int) -> None:
    whole = World(late)
    undisturbed = whole.find()
    resumed = World(late)
    resumed.done = dict(list(whole.done.items())[:kept])
    assert resumed.find() == undisturbed
    assert sum(resumed.runs) == 96 - kept


def test_ties_go_to_fewer_tokens_and_then_to_the_first() -> None:
    rows = [make_row("a", 100, policy_tokens=9), make_row("b", 100, policy_tokens=8)]
    rows += [make_row("c", 100, policy_tokens=9), make_row("d", 100, correct=None, policy_tokens=1)]
    rows += [make_row("a", 200, policy_tokens=0)]  # of another budget
    assert rank(rows, ["c", "d", "a", "b"], 100) == ["b", "c", "a", "d"]


@pytest.mark.parametrize(
    ("first", "best", "says"),
    [
        ("xxxx....", "xxxx....", "a"),  # b is cheaper and not better
        ("xxxx....", "xxxxx...", "a"),  # one more, which is one standard error
        ("xxxx....", "xxxxxx..", "b"),  # two more are above the root of two
        ("xxxx....", "...xxxx.", "a"),  # as many, others
        ("xx......", "..xxxxx.", "b"),  # 5 to 2 is 3, above the root of 7
        ("xxx.....", "...xxxxx", "a"),  # 5 to 3 is 2, below the root of 8
        ("xxxx....", "........", "a"),
    ],
)
def test_the_first_stays_unless_another_is_ahead_by_a_standard_error(
    first: str, best: str, says: str
) -> None:
    rows = [
        make_row(label, 100, problem_id=f"p{number}", correct=mark == "x", policy_tokens=tokens)
        for label, marks, tokens in (("a", first, 9), ("b", best, 8))
        for number, mark in enumerate(marks)
    ]
    rows += [make_row("b", 200, problem_id=f"p{number}", correct=True) for number in range(8)]
    assert winner(rows, ["a", "b"], 100) == says


def test_the_first_goes_on_however_it_does() -> None:
    rows = [make_row(label, 100, correct=label in "cd") for label in "abcd"]
    assert go_on(rows, list("abcd"), 100, 3) == ["a", "c", "d"]
    assert go_on(rows, list("abcd"), 100, 2) == ["a", "c"]


@pytest.mark.parametrize("text", ["", "x", "0,4", "4,4", "8,4", "4,", "4.5"])
def test_rungs_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigError, match="--rungs must be rising numbers"):
        parse_rungs(text)


ORIGIN: dict[str, Any] = {
    "task": "t", "policy": "p", "policy_digest": None, "reward": "r", "reward_digest": "f00d",
}  # fmt: skip
TUNED = Tuned(
    {**ORIGIN, "seed": 0}, (Best("s", 100, "s:n=a", 7, 12, 0.5), Best("cot", 100, "cot", 1))
)


def test_tuned_settings_survive_the_file(tmp_path: Path) -> None:
    write_tuned(tmp_path / "t.json", TUNED)
    found = read_tuned(tmp_path / "t.json")
    assert found == TUNED
    assert found.setting("s", 100) == "s:n=a"
    assert (found.strategies, found.budgets) == (["s", "cot"], [100])
    with pytest.raises(ConfigError, match=r"of s for the budgets 100 \(got 200\)"):
        found.setting("s", 200)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 1, "best": [{}]}', "\xff"])
def test_a_file_that_holds_no_settings(content: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match="holds no tuned settings"):
        read_tuned(path)
    with pytest.raises(DataError, match="cannot read"):
        read_tuned(tmp_path / "none.json")
    write_tuned(path, TUNED)
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(DataError, match="another version"):
        read_tuned(path)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"task": "u"}, "x was tuned for task t, this is task u; run stepnav tune"),
        ({"policy": "q"}, "policy p, this is policy q"),
        ({"reward_digest": "beef"}, r"reward r \(f00d\), this is reward r \(beef\)"),
        ({"reward": "s", "reward_digest": None}, r"reward r \(f00d\), this is reward s;"),
    ],
)
def test_settings_of_another_task_or_model_are_refused(other: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_tuned(TUNED, {**ORIGIN, **other}, "x")


@pytest.mark.parametrize(
    "other", [{}, {"reward": None, "reward_digest": None}, {"reward": "by/another/name"}]
)
def test_settings_of_the_same_models_are_taken(other: dict[str, Any]) -> None:
    check_tuned(TUNED, {**ORIGIN, **other}, "x")


def test_a_strategy_takes_the_options_of_its_budget() -> None:
    from stepnav import build

    hgs = replace(build.parse_strategy("hgs:max_draws=7"), by_budget={100: {"branching": 3}})
    planned = hgs.for_plan((100, 200))
    assert planned.options["branching"] == 8
    assert planned.for_budget(100).options["branching"] == 3
    assert planned.for_budget(200).options["branching"] == 8
    assert planned.for_budget(100).options["max_draws"] == 7
    assert planned.for_budget(None).options["branching"] == 8
