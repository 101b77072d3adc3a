"""Makes a `Task` of a module that asks for programs: HumanEval, MBPP, micro-python.

Such a module offers `load`, `extract`, `program_of(problem, answer)`, `suite_of(problem,
public=...)`, and its templates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from stepnav.core.records import Problem
from stepnav.sandbox.records import Suite
from stepnav.tasks.behaviour import Behaviours
from stepnav.tasks.program_checker import shared_checker
from stepnav.tasks.program_text import is_whole_program, parses_so_far
from stepnav.tasks.task import CodeChecks, Example, Loader, Task


@dataclass(frozen=True, slots=True)
class Programs:
    """The problems of a code task, as files of samples name them.

    Attributes:
      task: the task's name.
      find: a task id to the problem, None if there is none.
      after_prompt: (problem, completion) to the program that they are together.
      suite_of: a problem to its tests.
      count: how many problems there are; None if they are made as they are asked for.
    """

    task: str
    find: Callable[[str], Problem | None]
    after_prompt: Callable[[Problem, str], str]
    suite_of: Callable[[Problem], Suite]
    count: int | None


def named_programs(name: str, module: ModuleType, problems: Sequence[Problem]) -> Programs:
    """Return the problems of a benchmark's file under all their names.

    Args:
      name: the task's name.
      module: the task's module; it offers `names_of` and `after_prompt` too.
      problems: those of all splits.
    """
    by_name = {known: problem for problem in problems for known in module.names_of(problem)}
    return Programs(name, by_name.get, module.after_prompt, module.suite_of, len(problems))


def make_code_task(
    name: str,
    module: ModuleType,
    sandbox: str,
    *,
    splits: tuple[str, ...],
    default_split: str,
    load: Loader,
    examples: Callable[[int], Sequence[Example]] | None = None,
) -> Task:
    """Return the task of a module.

    Args:
      name: its name on the command line.
      module: see above.
      sandbox: level at which its programs are run; opened when the first one is.
      splits, default_split, load, examples: see `Task`.
    """

    def grade(problem: Problem, answer: str | None) -> bool | None:
        if answer is None:
            return False
        return shared_checker(sandbox).passes(
            module.program_of(problem, answer), module.suite_of(problem)
        )

    def passes_public(problem: Problem, text: str) -> bool | None:
        test = module.suite_of(problem, public=True)
        if test is None:
            return None
        answer = module.extract(text)
        return answer is not None and shared_checker(sandbox).passes(
            module.program_of(problem, answer), test
        )

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
        code=CodeChecks(partial(_parses, module), passes_public),
        examples=examples,
        default_shots=getattr(module, "DEFAULT_SHOTS", 0),
        end_strings=getattr(module, "END_STRINGS", ()),
        alike=partial(_behaviours, module, sandbox),
    )


def _parses(module: ModuleType, problem: Problem, text: str) -> bool:
    return parses_so_far(text if is_whole_program(text) else module.program_of(problem, text))


def _behaviours(module: ModuleType, sandbox: str, problem: Problem) -> Behaviours:
    return Behaviours(
        lambda: shared_checker(sandbox).sandbox,
        lambda answer: module.program_of(problem, answer),
        module.suite_of(problem, public=True),
    )
