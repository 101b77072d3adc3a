"""Tasks from outside the package: a fault in one of their functions becomes one clear line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from stepnav.core.errors import ConfigError, DataError, StepnavError, what_it_did
from stepnav.core.records import Problem, Rating
from stepnav.tasks.task import Grade, Loader, RateSteps, Task

T = TypeVar("T")

logger = logging.getLogger("stepnav")


def checked(task: Task, name: str) -> Task:
    """Return a task whose functions are checked.

    What `load` and `rate_steps` do wrong is a `ConfigError`; what `grade` does wrong is told, and
    the answer counts as not graded.

    Args:
      task: somebody's own.
      name: what the user calls it.
    """
    if isinstance(task.load, partial) and task.load.func is _load:
        return task
    grade = task.grade.grade if isinstance(task.grade, CheckedGrade) else task.grade
    rate = task.rate_steps
    return replace(
        task,
        load=partial(_load, name, task.load),
        grade=CheckedGrade(name, grade),
        rate_steps=None if rate is None else partial(_rate_steps, name, rate),
    )


def call(name: str, function: Callable[..., T], *arguments: Any) -> T:
    """Return what a user's own function returns.

    Raises:
      ConfigError: it raises an error that is none of ours, or tries to end the process.
    """
    try:
        return function(*arguments)
    except StepnavError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{name} {what_it_did(error)}") from error


class GradeFault(Exception):
    """What a task's own grade did wrong, in one line; of a `DataError`, why a problem has none."""

    @property
    def is_of_problem(self) -> bool:
        """Whether no answer to the problem can be graded, ever."""
        return isinstance(self.__cause__, DataError)


@dataclass(frozen=True)
class CheckedGrade:
    """A task's grade that never ends a run.

    Attributes:
      name: of the task.
      grade: its own.
    """

    name: str
    grade: Grade
    _told: set[str] = field(default_factory=set, repr=False, compare=False)

    def __call__(self, problem: Problem, answer: str | None) -> bool | None:
        """Return whether an answer is right; None if that cannot be told, whatever the reason."""
        try:
            return self.strict(problem, answer)
        except GradeFault as fault:
            kind = str(fault) if fault.is_of_problem else type(fault.__cause__).__name__
            if kind not in self._told:  # thousands of answers may meet the same fault
                self._told.add(kind)
                told = ("s count", "") if fault.is_of_problem else (" counts", ", and so do others")
                logger.warning("%s; its answer%s as not graded%s", fault, *told)
            return None

    def strict(self, problem: Problem, answer: str | None) -> bool | None:
        """Return the same.

        Raises:
          GradeFault: the grade raises an error, tries to end the process, or returns something
            else.
        """
        name = f"the grade of {self.name}, for the problem {problem.id},"
        try:
            given: Any = self.grade(problem, answer)
            plain = given.item() if hasattr(given, "item") else given  # of numpy, of torch
        except (StepnavError, GradeFault):
            raise
        except (Exception, SystemExit) as error:
            raise GradeFault(f"{name} {what_it_did(error)}") from error
        if plain is None:
            return None
        if not isinstance(plain, (int, float)) or plain not in (0, 1):
            raise GradeFault(f"{name} must return True, False or None (got {given!r:.80})")
        return bool(plain)


def strict(grade: Grade) -> Grade:
    """Return a task's grade that raises its faults, for where None must not stand for them."""
    return grade.strict if isinstance(grade, CheckedGrade) else grade


def _load(
    name: str, load: Loader, split: str, count: int | None, seed: int, path: Path | None
) -> list[Problem]:
    found: object = call(f"load of {name}", load, split, count, seed, path)
    if not isinstance(found, (list, tuple)) or not all(isinstance(p, Problem) for p in found):
        raise ConfigError(f"load of {name} must return a list of Problem (got {found!r:.80})")
    return list(found)


def _rate_steps(name: str, rate: RateSteps, problem: Problem, steps: Sequence[str]) -> list[Rating]:
    name = f"rate_steps of {name}, for the problem {problem.id},"
    found = call(name, lambda: list(rate(problem, steps)))
    if len(found) != len(steps) or any(rating not in (-1, 0, 1) for rating in found):
        raise ConfigError(
            f"{name} must return -1, 0 or 1 for each of {len(steps)} steps (got {found!r:.80})"
        )
    return found
