from collections import Counter

from stepnav.core.records import Problem, Step, StepScore, Trajectory
from stepnav.core.requests import Score
from stepnav.rewards.execution import ExecutionReward

PROBLEM = Problem("p", "def f(x):")


class Checks:
    """Counts what it is asked."""

    def __init__(self, passes: bool | None) -> None:
        self.verdict = passes
        self.asked: Counter[str] = Counter()

    def parses(self, problem: Problem, text: str) -> bool:
        return "bad" not in text

    def passes(self, problem: Problem, text: str) -> bool | None:
        self.asked[text] += 1
        return self.verdict


def ratings(checks: Checks, *texts: str, finish: str = "end") -> list[int]:
    steps = [Step(text) for text in texts[:-1]] + [Step(texts[-1], finish)]
    reward = ExecutionReward(checks.parses, checks.passes)
    reward.submit(7, Score(Trajectory(PROBLEM, tuple(steps))))
    ((ticket, answer),) = reward.poll(0)
    assert ticket == 7
    return [score.rating for score in answer.items]


def test_a_finished_program_is_rated_by_its_tests_at_its_last_step():
    assert ratings(Checks(True), "a\n", "b\n") == [1, 1]
    assert ratings(Checks(False), "a\n", "b\n") == [1, -1]
    assert ratings(Checks(None), "a\n", "b\n") == [1, 0]


def test_an_unfinished_program_is_never_run():
    for finish in ("step", "length"):
        checks = Checks(False)
        assert ratings(checks, "a\n", "b\n", finish=finish) == [1, 1]
        assert not checks.asked


def test_syntax_that_cannot_be_mended_is_wrong_from_there_on():
    assert ratings(Checks(True), "a\n", "bad\n", "b\n", finish="step") == [1, -1, -1]


def test_a_program_is_run_once():
    checks = Checks(True)
    reward = ExecutionReward(checks.parses, checks.passes)
    for ticket in range(3):
        reward.submit(ticket, Score(Trajectory(PROBLEM, (Step("a", "end"),))))
    assert [answer.items for _, answer in reward.poll(0)] == [(StepScore.from_rating(1),)] * 3
    assert checks.asked == {"a": 1}
