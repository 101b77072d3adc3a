"""The task of plain questions as the rest of the package sees it."""

from __future__ import annotations

from stepnav.tasks.arithmetic.task import word_problem_task
from stepnav.tasks.plain import problems
from stepnav.tasks.task import Task


def make_task(sandbox: str) -> Task:
    """Return the task; nothing in it is run in a sandbox."""
    return word_problem_task("plain", problems, ask=problems.ask, temperature=problems.TEMPERATURE)
