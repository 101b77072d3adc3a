"""Recipe stage that measures what the policy knows; `policies/local/known.py` reads the result."""

from __future__ import annotations

from collections.abc import Sequence

from stepnav.core.backend import Backend
from stepnav.core.records import Problem
from stepnav.core.strategy import Strategy
from stepnav.policies.local.known import Known, least_logprob
from stepnav.zoo.domain import Count, Domain, Making

MAX_STRANGE = 0.03
"""Share of familiar questions that may be called strange."""

MAX_DOUBTED = 0.05
"""Share of right answers that may be doubted."""


def measure_known(making: Making) -> Known:
    """Return where familiar questions end and doubtful answers begin.

    Measured on the dev split and on `domain.strange`.
    """
    from stepnav.policies.local import LocalPolicy
    from stepnav.rewards.families.prm import PRM
    from stepnav.rewards.local.reward import LocalReward

    domain, seed = making.domain, making.seed
    # wrong answers are few among them
    problems = domain.load("dev", 4 * making.scale.eval_problems, seed)
    proposer = LocalPolicy(making.policy, device="cpu")
    familiar = [proposer.question_logprob(problem) for problem in problems]
    strange = [proposer.question_logprob(Problem("strange", text)) for text in domain.strange]
    reward = LocalReward.open(PRM, making.prm, device="cpu")
    progress = making.count_of("what the policy knows")
    right, wrong = _least_sure(domain, problems, proposer, reward, seed, progress)
    return Known(draw_line(familiar, strange, MAX_STRANGE), draw_line(right, wrong, MAX_DOUBTED))


def draw_line(good: Sequence[float], bad: Sequence[float], max_below: float) -> float:
    """Return the value below which most of the bad and few of the good lie.

    It is the one that tells the two apart best (Youden 1950: the largest difference of the two
    shares) among those with at most a share `max_below` of the good below.

    Example:
      >>> draw_line([3.0, 4.0, 5.0], [1.0, 2.0], 0.05)
      3.0
    """

    def share_below(values: Sequence[float], line: float) -> float:
        return sum(value < line for value in values) / max(1, len(values))

    if not good:
        return max(bad, default=0.0)
    lines = [line for line in sorted(good) if share_below(good, line) <= max_below]
    return max(lines, key=lambda line: share_below(bad, line) - share_below(good, line))


def _least_sure(
    domain: Domain,
    problems: Sequence[Problem],
    policy: Backend,
    reward: Backend,
    seed: int,
    progress: Count,
) -> tuple[list[float], list[float]]:
    """Return the log-probability of the least likely step of right and of wrong solutions."""
    from stepnav.run.driver import Driver
    from stepnav.run.search import Search
    from stepnav.search.hgs import hgs

    strategy = Strategy("hgs", function=hgs).for_budget(None, temperature=domain.temperature)
    searches = [Search(p.id, strategy, p, str.strip, seed=seed) for p in problems]
    found: tuple[list[float], list[float]] = ([], [])
    by_id = {problem.id: problem for problem in problems}
    for done, result in enumerate(Driver({"policy": policy, "reward": reward}).run(searches), 1):
        progress(done, len(problems))
        solution = result.outcome.trajectory
        if solution is not None and solution.is_finished:
            (is_right,) = domain.grade([by_id[result.problem_id]], [solution.text])
            found[not is_right].append(least_logprob(solution))
    return found
