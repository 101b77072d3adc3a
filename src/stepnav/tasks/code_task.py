"""Makes a `Task` of a module that asks for programs: HumanEval, MBPP, micro-python.

Such a module offers `load`, `extract`, `program_of(problem, answer)`, `test_of(problem, public=...)`, and its templates.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from stepnav.core.records import Problem
from stepnav.tasks.program_checker import ProgramChecker
from stepnav.tasks.program_text import is_whole_program, parses_so_far
from stepnav.tasks.task import CodeChecks, Loader, Task


def make_code_task(
    name: str,
    module: ModuleType,
    checker: Callable[[], ProgramChecker],
    *,
    splits: tuple[str, ...],
    default_split: str,
    load: Loader,
) -> Task:
    """Return the task of a module.

    Args:
      name: its name on the command line.
      module: see above.
      checker: returns what runs the programs; called when the first one is to be run.
      splits, default_split, load: see `Task`.
    """

    def grade(problem: Problem, answer: str | None) -> bool | None:
        if answer is None:
            return False
        return checker().passes(module.program_of(problem, answer), module.test_of(problem))

    def passes_public(problem: Problem, text: str) -> bool | None:
        test = module.test_of(problem, public=True)
        if test is None:
            return None
        answer = module.extract(text)
        return answer is not None and checker().passes(module.program_of(problem, answer), test)

    def parses(problem: Problem, text: str) -> bool:
        return parses_so_far(text if is_whole_program(text) else module.program_of(problem, text))

    return Task(
        name=name,
        splits=splits,
        default_split=default_split,
        prompt_template=module.PROMPT_TEMPLATE,
        chat_template=module.CHAT_TEMPLATE,
        answer_pattern=module.ANSWER_PATTERN,
        chat_answer_pattern=module.CHAT_ANSWER_PATTERN,
        load=load,
        extract=module.extract,
        grade=grade,
        temperature=module.TEMPERATURE,
        ask=module.ask,
        code=CodeChecks(parses, passes_public),
    )
