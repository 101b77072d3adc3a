"""The arithmetic task as the rest of the package sees it, and what its like share with it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from stepnav.tasks.arithmetic import problems
from stepnav.tasks.splits import SPLITS, embedded_examples, embedded_loader
from stepnav.tasks.task import Task


def make_task(sandbox: str) -> Task:
    """Return the task; nothing in it is run in a sandbox."""
    return word_problem_task("arithmetic", problems)


def word_problem_task(name: str, problems: ModuleType, **more: Any) -> Task:
    """Return the task of a module that draws word problems and checks their steps exactly.

    Args:
      name: of the task.
      problems: has the functions and constants of `arithmetic.problems`.
      more: further fields of `Task`.
    """
    return Task(
        name=name,
        splits=SPLITS,
        default_split="dev",
        prompt_template=problems.PROMPT_TEMPLATE,
        chat_template=None,
        answer_pattern=None,
        load=embedded_loader(name, problems.load),
        extract=problems.extract,
        grade=lambda problem, answer: answer is not None and answer == problem.answer,
        rate_steps=lambda problem, steps: [v.rating for v in problems.rate_steps(problem, steps)],
        examples=embedded_examples(problems.load, problems.solve),
        problem=problems.problem,
        **more,
    )
