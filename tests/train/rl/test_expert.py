import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.train.pairs import Pair
from stepnav.train.rl.expert import Found, RoundReport, improve, keep, round_model
from stepnav.train.saving import TrainReport


def found(text: str, correct: bool | None, right_prob: float | None = None) -> Found:
    solution = Trajectory(Problem("p", "q"), (Step(text, "end"),))
    return Found(solution, correct, right_prob, 10, 3)


CUT = Found(Trajectory(Problem("p", "q"), (Step("cut", "length"),)), True, 1.0, 10, 3)
NOTHING = Found(None, None, None, 10, 3)


def test_right_solutions_are_kept_once() -> None:
    every = [found("a", True), found("b", False), found("a", True), found("c", None), CUT, NOTHING]
    assert keep(every, by="grade", least=0.9) == [Pair("q", "a")]


def test_by_right_prob_the_grade_does_not_count() -> None:
    every = [found("a", False, 0.9), found("b", True, 0.89), found("c", None, 1.0), CUT, NOTHING]
    assert keep(every, by="right-prob", least=0.9) == [Pair("q", "a"), Pair("q", "c")]


def test_right_prob_needs_a_strategy_that_tells_it() -> None:
    with pytest.raises(ConfigError, match="use nav, or --keep grade"):
        keep([found("a", True), NOTHING], by="right-prob", least=0.5)


class World:
    """Searches that find one right solution a round, and fine-tunings that write what they got."""

    def __init__(self, fails_at: int = 0) -> None:
        self.searched: list[tuple[str, int]] = []
        self.fitted: list[tuple[str, list[str]]] = []
        self.fails_at = fails_at

    def search(self, policy: str, number: int, folder: Path) -> Sequence[Found]:
        self.searched.append((policy, number))
        return [found(f"right {number}", True), found("wrong", False)]

    def finetune(self, model: str, pairs: Sequence[Pair], out: Path) -> TrainReport:
        if self.fails_at == len(self.fitted) + 1:
            raise KeyboardInterrupt
        self.fitted.append((model, [pair.completion for pair in pairs]))
        return _Report()  # type: ignore[return-value]


class _Report:
    labels = 7

    class fit:
        steps = 5


def run(world: World, out: Path, **options: Any) -> list[RoundReport]:
    return improve("first", out, rounds=3, search=world.search, finetune=world.finetune, **options)


def test_each_round_goes_on_from_the_last(tmp_path: Path) -> None:
    world = World()
    reports = run(world, tmp_path)
    models = ["first", str(round_model(tmp_path, 1)), str(round_model(tmp_path, 2))]
    assert world.searched == [(model, n) for n, model in enumerate(models, 1)]
    assert world.fitted == [(model, [f"right {n}"]) for n, model in enumerate(models, 1)]
    assert reports[1] == RoundReport(2, 2, 1, 1, 20, 6, 7, 5)
    row = json.loads((tmp_path / "round-1" / "kept.jsonl").read_text())
    assert row == {"prompt": "q", "completion": "right 1"}


def test_searches_that_cannot_be_graded_are_counted_apart(tmp_path: Path) -> None:
    world = World()
    every = [found("a", True), found("b", None), found("c", False)]
    [report, *_] = improve(
        "first", tmp_path, rounds=1, search=lambda *_: every, finetune=world.finetune
    )
    assert (report.searches, report.correct, report.ungraded) == (3, 1, 1)


def test_from_first_searches_with_the_last_and_fits_the_first(tmp_path: Path) -> None:
    world = World()
    run(world, tmp_path, from_first=True)
    assert world.searched[2] == (str(round_model(tmp_path, 2)), 3)
    assert [model for model, _ in world.fitted] == ["first"] * 3


def test_done_rounds_are_not_run_again(tmp_path: Path) -> None:
    told: list[RoundReport] = []
    killed = World(fails_at=2)
    with pytest.raises(KeyboardInterrupt):
        run(killed, tmp_path)
    again = World()
    reports = run(again, tmp_path, tell=told.append)
    assert [number for _, number in again.searched] == [2, 3]
    assert [report.number for report in reports] == [1, 2, 3]
    assert [report.number for report in told] == [2, 3]
    assert reports == run(World(), tmp_path)


def test_a_round_that_keeps_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="round 1 kept none of 2 solutions"):
        improve(
            "first",
            tmp_path,
            rounds=1,
            search=lambda *_: [found("a", False), NOTHING],
            finetune=World().finetune,
        )
