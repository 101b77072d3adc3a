"""What `stepnav check` finds of a reward model, from solutions by hand."""

from __future__ import annotations

from stepnav.core.records import Problem, Step, StepScore, Trajectory
from stepnav.measure.check import Finding, Seen, reward_findings


def seen(name: str, rights: list[bool], values: list[float]) -> Seen:
    """Return what was seen of a problem; solutions beyond the values were not scored."""
    problem = Problem(name, "q")
    solution = Trajectory(problem, (Step("a\n"), Step("b", "end")))
    scores = [(StepScore(1 - value, 0.0, value),) * 2 for value in values]
    missing = [None] * (len(rights) - len(values))
    return Seen(problem, None, None, (solution,) * len(rights), [*rights], [*scores, *missing])


def found(about: str, items: list[Seen]) -> Finding:
    return next(item for item in reward_findings(items) if item.about == about)


def test_a_score_that_knows_the_hard_problems_only_is_not_better_than_chance() -> None:
    easy = [seen(f"e{n}", [True, True, True, False], [0.9] * 4) for n in range(10)]
    hard = [seen(f"h{n}", [False, False, False, True], [0.2] * 4) for n in range(10)]
    reward = found("reward", [*easy, *hard])
    assert (reward.fits, reward.text[:27]) == (False, "not better than chance: AUR")
    assert "AUROC 0.50" in reward.text and "within 20 problems" in reward.text
    assert found("reward", easy[:4]).fits is None


def test_the_gain_is_that_of_the_problems_of_which_all_samples_were_scored() -> None:
    easy = [seen(f"e{n}", [True, True], [0.5, 0.5]) for n in range(4)]
    hard = [seen(f"h{n}", [False, False], [0.5]) for n in range(6)]
    gain = found("gain", [*easy, *hard])
    assert "one sample is right in 100%, the best of 2 by the reward model in 100%" in gain.text
    assert "without 6 problems" in gain.text and "about +0 points" in gain.text
