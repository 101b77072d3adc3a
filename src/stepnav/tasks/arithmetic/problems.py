"""Grade-school word problems with an exact step checker: the task that ships with the package.

A story starts with an amount, changes it in 3 to 8 dependent calculations told in the order in
which they are solved, and asks for the result. Problems are drawn from (split, seed, index) alone
and are re-created from their id, so that graders and oracle rewards need nothing but the id. A
question's hash decides its split: no test question can be drawn in training.

The checker enumerates every text that may stand next and looks the step up; it parses nothing.
Deliberately absent: partial credit for steps that are worded otherwise, and look-ups among shuffled
facts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from stepnav.core.records import Problem, Rating
from stepnav.tasks.arithmetic.stories import Event, Story, tell_story
from stepnav.tasks.splits import SPLITS as SPLITS
from stepnav.tasks.splits import first_problems, redrawn

SEPARATOR = "\n"
PROMPT_TEMPLATE = "{question}\n"
ANSWER_MARK = "#### "
REMARK_PROB = 0.15
"""Chance of a right but unneeded remark before each step of a reference solution."""

_ANSWER = re.compile(r"####\s*(-?[\d,]+)")


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """What the checker says of one step.

    Attributes:
      rating: 1 right and needed, 0 right but unneeded, -1 wrong.
      wrong_from: offset, in the step without outer white space, of the first character that no
        allowed step has there; None unless wrong. It is the step's length when the step breaks off
        too early.
    """

    rating: Rating
    wrong_from: int | None = None


def problem(problem_id: str) -> Problem:
    """Return the problem with this id.

    Raises:
      DataError: the id does not belong to this task.
    """
    story = story_of(problem_id)
    return Problem(id=problem_id, question=story.question, answer=str(story.answer))


load = first_problems("arithmetic", problem)


@lru_cache(maxsize=4096)
def story_of(problem_id: str) -> Story:
    """Return the structure behind a problem, re-created from its id.

    Raises:
      DataError: the id does not belong to this task.
    """
    return redrawn("arithmetic", problem_id, tell_story, lambda story: story.question)


def solve(problem_id: str) -> list[str]:
    """Return the reference solution's steps, separators included except after the last.

    The wording and the neutral remarks are drawn from the problem's id.
    """
    story = story_of(problem_id)
    rng = random.Random(f"solution of {problem_id}")
    steps: list[str] = []
    remarks = list(story.remarks)

    def say(text: str) -> None:
        if rng.random() < REMARK_PROB:
            steps.append(rng.choice(remarks))
        steps.append(text)

    for event in story.events:
        if event.products:
            say(event.products[0])
        say(event.states[0] if rng.random() < 0.7 else event.states[1 % event.num_wordings])
        remarks = (
            [*story.remarks, event.remark, event.remark] if event.remark else list(story.remarks)
        )
    say(ANSWER_MARK + str(story.answer))
    return [step + SEPARATOR for step in steps[:-1]] + steps[-1:]


def extract(text: str) -> str | None:
    """Return the value after the last `####`, or None when there is none."""
    found = _ANSWER.findall(text)
    return found[-1].replace(",", "") if found else None


def grade(problem: Problem, text: str) -> bool:
    """Return whether a solution's answer is the problem's."""
    answer = extract(text)
    return answer is not None and answer == problem.answer


def rate_steps(problem: Problem, steps: Sequence[str]) -> list[StepVerdict]:
    """Return the exact verdict on each step, given the steps before it.

    A wrong step does not advance the solution: a later step is right if it is right without it. The
    answer is right only after every calculation that it rests on.

    Args:
      problem: a problem of this task; only its id is read.
      steps: texts of the steps, with or without the separator.
    """
    story = story_of(problem.id)
    progress = _Progress(story)
    return [progress.rate(step) for step in steps]


class _Progress:
    """How far a solution has come: calculations told so far, and whether the answer was given."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.num_told = 0
        self.multiplied: set[int] = set()
        self.is_answered = False

    def rate(self, step: str) -> StepVerdict:
        """Rate one step, outer white space ignored, and, if it is right, advance."""
        step = step.strip()
        allowed = self.allowed()
        rating = allowed.get(step)
        if rating is None:
            return StepVerdict(-1, max(num_common(step, text) for text in allowed))
        if rating == 1:
            self._advance(step)
        return StepVerdict(rating)

    def allowed(self) -> dict[str, Rating]:
        """Return every text that may stand next, with its rating."""
        story = self.story
        texts: dict[str, Rating] = dict.fromkeys(story.remarks, 0)
        if self.num_told:
            last = story.events[self.num_told - 1]
            texts.update(dict.fromkeys((*last.states, last.remark), 0))
            texts.pop("", None)
        for number, event in enumerate(story.events):
            is_needed = number >= self.num_told and number not in self.multiplied
            for text in event.products:
                texts[text] = 1 if is_needed or texts.get(text) == 1 else 0
        if self.num_told < len(story.events):
            texts.update(dict.fromkeys(story.events[self.num_told].states, 1))
        else:
            texts[ANSWER_MARK + str(story.answer)] = 0 if self.is_answered else 1
        return texts

    def _advance(self, step: str) -> None:
        if step.startswith(ANSWER_MARK):
            self.is_answered = True
        elif (
            self.num_told < len(self.story.events)
            and step in self.story.events[self.num_told].states
        ):
            self.num_told += 1
        else:
            self.multiplied.add(self._first_open_product(step))

    def _first_open_product(self, step: str) -> int:
        events: tuple[Event, ...] = self.story.events
        return next(
            number
            for number, event in enumerate(events)
            if step in event.products and number >= self.num_told and number not in self.multiplied
        )


def num_common(one: str, other: str) -> int:
    """Return how many characters two texts share at their start."""
    for number, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return number
    return min(len(one), len(other))
