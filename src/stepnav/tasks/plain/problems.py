"""Plain questions in everyday words: one to three calculations, hundreds of wordings.

Problems are drawn from (split, seed, index) alone and are re-created from their id. A question's
hash decides its split. A solution is one equation per line and ends with `#### answer`: it copies
no words, so that a small model can give all it has to reading. Deliberately absent: decimals,
negative numbers, and results above 9999.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from stepnav.core.records import Problem
from stepnav.tasks.arithmetic.problems import (
    ANSWER_MARK,
    PROMPT_TEMPLATE,
    SEPARATOR,
    StepVerdict,
    extract,
    grade,
    num_common,
)
from stepnav.tasks.plain.calculation import Calculation, Plan
from stepnav.tasks.plain.questions import Question, draw_question
from stepnav.tasks.splits import SPLITS as SPLITS
from stepnav.tasks.splits import first_problems, redrawn

TEMPERATURE = 0.2
"""Of all draws: the policy is right more often than not, chosen on the dev split."""

__all__ = [
    "ANSWER_MARK",
    "PROMPT_TEMPLATE",
    "SEPARATOR",
    "SPLITS",
    "TEMPERATURE",
    "ask",
    "extract",
    "grade",
    "load",
    "problem",
    "question_of",
    "rate_steps",
    "solve",
]

_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


def ask(text: str) -> Problem:
    """Return the user's own question as a problem, in one line and with plain quotes."""
    return Problem("given", " ".join(text.split()).translate(_QUOTES))


def problem(problem_id: str) -> Problem:
    """Return the problem with this id.

    Raises:
      DataError: the id does not belong to this task.
    """
    question = question_of(problem_id)
    return Problem(id=problem_id, question=question.text, answer=str(question.answer))


load = first_problems("plain", problem)


@lru_cache(maxsize=4096)
def question_of(problem_id: str) -> Question:
    """Return the structure behind a problem, re-created from its id.

    Raises:
      DataError: the id does not belong to this task.
    """
    return redrawn("plain", problem_id, draw_question, lambda question: question.text)


def solve(problem_id: str) -> list[str]:
    """Return the reference solution's steps, separators included except after the last."""
    question = question_of(problem_id)
    steps = [calculation.texts[0] + SEPARATOR for calculation in question.plans[0]]
    return [*steps, ANSWER_MARK + str(question.answer)]


def rate_steps(problem: Problem, steps: Sequence[str]) -> list[StepVerdict]:
    """Return the exact verdict on each step, given the steps before it.

    A step is right (1) if a right plan has it next, and right but unneeded (0) if it was said
    before. A wrong step does not advance the solution.

    Args:
      problem: a problem of this task; only its id is read.
      steps: texts of the steps, with or without the separator.
    """
    question = question_of(problem.id)
    progress = _Progress(question)
    return [progress.rate(step.strip()) for step in steps]


class _Progress:
    """How far a solution has come: the plans that it may still follow, and what of each is done."""

    def __init__(self, question: Question) -> None:
        self.answer = ANSWER_MARK + str(question.answer)
        self.done: dict[Plan, frozenset[int]] = dict.fromkeys(question.plans, frozenset())
        self.said: set[str] = set()

    def rate(self, step: str) -> StepVerdict:
        """Rate one step and, if it is right, advance."""
        following = {
            plan: done | {number}
            for plan, done in self.done.items()
            if (number := _next_number(plan, done, step)) is not None
        }
        if following:
            self.done = following
            self.said.add(step)
            return StepVerdict(1)
        if step in self.said:
            return StepVerdict(0)
        if step == self.answer and self.is_complete:
            self.said.add(step)
            return StepVerdict(1)
        return StepVerdict(-1, max(num_common(step, text) for text in self.allowed()))

    @property
    def is_complete(self) -> bool:
        """Whether all calculations of a plan are done."""
        return any(len(done) == len(plan) for plan, done in self.done.items())

    def allowed(self) -> set[str]:
        """Return every text that may stand next."""
        texts = set(self.said)
        for plan, done in self.done.items():
            for calculation in _open(plan, done).values():
                texts.update(calculation.texts)
        return texts | {self.answer} if self.is_complete else texts


def _open(plan: Plan, done: frozenset[int]) -> dict[int, Calculation]:
    """Return the calculations that may come next in a plan."""
    return {
        number: calculation
        for number, calculation in enumerate(plan)
        if number not in done and done.issuperset(calculation.needs)
    }


def _next_number(plan: Plan, done: frozenset[int], step: str) -> int | None:
    """Return the position of the calculation that a step tells, if the plan has it next."""
    for number, calculation in _open(plan, done).items():
        if step in calculation.texts:
            return number
    return None
