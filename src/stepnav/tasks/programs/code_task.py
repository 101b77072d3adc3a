"""Makes a `Task` of a module that asks for programs: HumanEval, MBPP, micro-python.

Such a module offers `load`, `extract`, `program_of(problem, answer)`, `suite_of(problem,
public=...)`, and its templates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from stepnav.core.errors import DataError
from stepnav.core.records import Problem
from stepnav.core.thoughts import answer_part
from stepnav.sandbox.records import Suite
from stepnav.tasks.checked import CheckedGrade, GradeFault
from stepnav.tasks.programs.behaviour import Behaviours
from stepnav.tasks.programs.program_checker import shared_checker
from stepnav.tasks.programs.program_text import is_whole_program, parses_so_far
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
      ambiguous: names that several different problems carry -> the ids of these. `find` knows none
        of them.
    """

    task: str
    find: Callable[[str], Problem | None]
    after_prompt: Callable[[Problem, str], str]
    suite_of: Callable[[Problem], Suite]
    count: int | None
    ambiguous: Mapping[str, Collection[str]] = field(default_factory=dict)

    def why_not(self, name: str) -> str:
        """Return why a name is no problem's."""
        if name not in self.ambiguous:
            return f"{self.task} has no problem {name!r}"
        ids = [one for one in self.ambiguous[name] if one not in self.ambiguous]
        advice = f"; use one of {', '.join(ids)}" if ids else ""
        return f"{self.task} has several problems {name!r}{advice}"


def named_programs(task: Task, path: Path | None) -> Programs:
    """Return the problems of a benchmark's files under all their names.

    One file may stand for several splits, so a row that is met again in another split is the same
    problem; one with an id of its own is so within a split too.

    Args:
      task: a benchmark whose module offers `names_of` and `after_prompt` too.
      path: see `Task.load`.
    """
    assert task.code is not None, "its answers are programs"
    module = task.code.module
    known: dict[str, list[Problem]] = {}
    by_name: dict[str, Problem] = {}
    ambiguous: dict[str, dict[str, None]] = {}  # the ids of each name, each once
    for split in task.splits:
        problems = task.load(split, None, 0, path)
        earlier = {question: list(found) for question, found in known.items()}
        for problem in problems:
            names = module.names_of(problem)
            own = known if {*names} != {problem.id} else earlier
            first = _take_same(own.get(problem.question, []), problem, keep=own is known)
            if first is None:
                first = problem
                known.setdefault(problem.question, []).append(problem)
            for one in names:
                if by_name.setdefault(one, first) is not first:
                    ambiguous.setdefault(one, {by_name[one].id: None})[first.id] = None
    count = sum(map(len, known.values()))
    find = {one: problem for one, problem in by_name.items() if one not in ambiguous}.get
    return Programs(task.name, find, module.after_prompt, module.suite_of, count, ambiguous)


def _take_same(found: list[Problem], problem: Problem, *, keep: bool) -> Problem | None:
    """Return the one of some problems that is the same as another but for its id; None if none is.

    Args:
      found: is searched.
      problem: the other.
      keep: whether to leave it in `found`.
    """
    for number, one in enumerate(found):
        if one.answer == problem.answer and _told(one) == _told(problem):
            return one if keep else found.pop(number)
    return None


def _told(problem: Problem) -> dict[str, Any]:
    """Return a problem's further fields, without a name that is only its id."""
    return {key: value for key, value in problem.metadata.items() if value != problem.id}


def make_code_task(
    name: str,
    module: ModuleType,
    sandbox: str,
    *,
    splits: tuple[str, ...],
    load: Loader,
    default_split: str = "test",
    examples: Callable[[int], Sequence[Example]] | None = None,
) -> Task:
    """Return the task of a module.

    Args:
      name: its name on the command line.
      module: see above.
      sandbox: level at which its programs are run; opened when the first one is.
      splits, load, default_split, examples: see `Task`.
    """
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
        grade=CheckedGrade(name, partial(_grade, module, sandbox)),
        temperature=module.TEMPERATURE,
        ask=module.ask,
        code=CodeChecks(partial(_parses, module), partial(_passes_public, module, sandbox), module),
        examples=examples,
        default_shots=getattr(module, "DEFAULT_SHOTS", 0),
        end_strings=getattr(module, "END_STRINGS", ()),
        alike=partial(_behaviours, module, sandbox),
    )


def _grade(module: ModuleType, sandbox: str, problem: Problem, answer: str | None) -> bool | None:
    if answer is None:
        return False
    try:
        return shared_checker(sandbox).passes(
            module.program_of(problem, answer), module.suite_of(problem)
        )
    except DataError as error:  # of this one problem: others are graded
        raise GradeFault(f"{problem.id} cannot be graded: {error}") from error


def _passes_public(module: ModuleType, sandbox: str, problem: Problem, text: str) -> bool | None:
    test = module.suite_of(problem, public=True)
    if test is None:
        return None
    answer = module.extract(answer_part(text))
    if answer is None:
        return False
    try:
        return shared_checker(sandbox).passes(module.program_of(problem, answer), test)
    except DataError:  # there is no test that tells
        return None


def _parses(module: ModuleType, problem: Problem, text: str) -> bool:
    return parses_so_far(text if is_whole_program(text) else module.program_of(problem, text))


def _behaviours(module: ModuleType, sandbox: str, problem: Problem) -> Behaviours:
    return Behaviours(
        lambda: shared_checker(sandbox).sandbox,
        lambda answer: module.program_of(problem, answer),
        module.suite_of(problem, public=True),
    )
