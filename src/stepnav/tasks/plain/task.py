"""The task of plain questions as the rest of the package sees it."""

from __future__ import annotations

from stepnav.tasks.plain import problems
from stepnav.tasks.splits import SPLITS, embedded_examples, embedded_loader
from stepnav.tasks.task import Task

NAME = "plain"


def make_task(sandbox: str) -> Task:
    """Return the task; nothing in it is run in a sandbox."""
    return Task(
        name=NAME,
        splits=SPLITS,
        default_split="dev",
        prompt_template=problems.PROMPT_TEMPLATE,
        chat_template=None,
        answer_pattern=None,
        load=embedded_loader(NAME, problems.load),
        extract=problems.extract,
        grade=lambda problem, answer: answer is not None and answer == problem.answer,
        rate_steps=lambda problem, steps: [v.rating for v in problems.rate_steps(problem, steps)],
        ask=problems.ask,
        temperature=problems.TEMPERATURE,
        examples=embedded_examples(problems.load, problems.solve),
    )
