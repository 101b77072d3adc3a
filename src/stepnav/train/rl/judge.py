"""What a sampled solution is worth: the task's grade, the reward model's scores of its steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.core.errors import BackendError
from stepnav.core.records import Problem, StepScore, Trajectory
from stepnav.policies.local.prompt import StepCutter
from stepnav.tasks.task import Task
from stepnav.train.reward_function import RewardFunction
from stepnav.train.rl.token_steps import TokenStep, as_trajectory, token_steps

ACCEPTED = 0.5
"""A reward model accepts a solution whose aggregated value is at least this."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A sampled solution and what it is worth.

    Attributes:
      outcome: 1 if it is finished and right, else 0; None if that cannot be told.
      values: of each step, in [0, 1]; empty if there is no reward model or it could not score it.
      ends: the number of each step's last token.
      process: the steps' values as one number; None if there are none.
    """

    outcome: float | None
    values: tuple[float, ...]
    ends: tuple[int, ...]
    process: float | None

    @property
    def is_accepted_wrong(self) -> bool | None:
        """Whether the reward model accepts what the grader refuses; None if one cannot tell."""
        if self.outcome is None or self.process is None:
            return None
        return self.process >= ACCEPTED and self.outcome == 0


@dataclass(frozen=True)
class Judge:
    """Judges sampled solutions.

    Attributes:
      task: grades them.
      cutter: finds the ends of their steps.
      end_tokens: what ends a solution.
      reward: scores their steps, if anything does.
    """

    task: Task
    cutter: StepCutter
    end_tokens: Collection[int]
    reward: RewardFunction | None

    def judge(self, problems: Sequence[Problem], ids: Sequence[Sequence[int]]) -> list[Judged]:
        """Return what each solution is worth.

        A step that a limit cut is not rated, as in searches, and neither is a blank one: their
        value is 0.

        Args:
          problems: of each solution.
          ids: tokens of each solution, the one that ends it included.
        Raises:
          BackendError: the reward model can score none of them.
        """
        steps = [token_steps(one, self.cutter, self.end_tokens) for one in ids]
        outcomes = [self._outcome(as_trajectory(*pair)) for pair in zip(problems, steps)]
        values = self._values(problems, steps)
        return [
            Judged(
                outcome,
                found,
                tuple(step.end for step in one),
                self.reward.aggregate(found) if self.reward is not None and found else None,
            )
            for one, outcome, found in zip(steps, outcomes, values)
        ]

    def _outcome(self, solution: Trajectory) -> float | None:
        if not solution.is_finished:
            return 0.0
        grade = self.task.grade(solution.problem, self.task.extract(solution.text))
        return None if grade is None else float(grade)

    def _values(
        self, problems: Sequence[Problem], solutions: Sequence[Sequence[TokenStep]]
    ) -> list[tuple[float, ...]]:
        if self.reward is None:
            return [()] * len(solutions)
        rated = [[step for step in one if _is_rated(step)] for one in solutions]
        found = self.reward.scores([as_trajectory(*pair) for pair in zip(problems, rated)])
        return [
            () if isinstance(scores, BackendError) else (*_values_of(scores), *[0.0] * missing)
            for scores, missing in zip(found, (len(a) - len(b) for a, b in zip(solutions, rated)))
        ]


def _is_rated(step: TokenStep) -> bool:
    """Return whether a step is rated; only the last one may not be."""
    return step.finish != "length" and bool(step.text.strip())


def _values_of(scores: Sequence[StepScore]) -> list[float]:
    return [score.value for score in scores]


def means(judged: Sequence[Judged]) -> dict[str, float]:
    """Return what is logged of a batch; what no solution can tell is left out.

    Rewards that are learnt to be deceived show here: more steps, and more wrong solutions accepted,
    while the reward rises.
    """
    columns: dict[str, Callable[[Judged], Any]] = {
        "right": lambda one: one.outcome,
        "process": lambda one: one.process,
        "accepted_wrong": lambda one: one.is_accepted_wrong,
        "steps_per_solution": lambda one: len(one.ends),
        "tokens_per_solution": lambda one: one.ends[-1] + 1,
    }
    found = {}
    for name, of in columns.items():
        known = [float(value) for value in map(of, judged) if value is not None]
        if known:
            found[name] = sum(known) / len(known)
    return found
