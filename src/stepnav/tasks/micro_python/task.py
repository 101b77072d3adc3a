"""The micro-python task as the rest of the package sees it."""

from __future__ import annotations

from dataclasses import replace

from stepnav.tasks.micro_python import problems
from stepnav.tasks.programs.code_task import make_code_task
from stepnav.tasks.splits import SPLITS, embedded_examples, embedded_loader
from stepnav.tasks.task import Task

NAME = "micro-python"


def make_task(sandbox: str) -> Task:
    """Return the task; its programs are run at a level of the sandbox."""
    task = make_code_task(
        NAME,
        problems,
        sandbox,
        splits=SPLITS,
        default_split="dev",
        load=embedded_loader(NAME, problems.load),
        examples=embedded_examples(problems.load, problems.solve),
    )
    return replace(task, problem=problems.problem)
