"""Tasks by name: one table of modules, each of which makes its own `Task`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from stepnav.build.plugins import entry_names, find
from stepnav.core.errors import ConfigError, choose, nearest
from stepnav.tasks.task import Task

if TYPE_CHECKING:
    from stepnav.tasks.programs.code_task import Programs

TASKS: Mapping[str, str] = {
    "arithmetic": "stepnav.tasks.arithmetic.task",
    "plain": "stepnav.tasks.plain.task",
    "gsm8k": "stepnav.tasks.mathematics.gsm8k",
    "gsm-hard": "stepnav.tasks.mathematics.gsm_hard",
    "gsm-plus": "stepnav.tasks.mathematics.gsm_plus",
    "gsm-symbolic": "stepnav.tasks.mathematics.gsm_symbolic",
    "svamp": "stepnav.tasks.mathematics.svamp",
    "asdiv": "stepnav.tasks.mathematics.asdiv",
    "mawps": "stepnav.tasks.mathematics.mawps",
    "math": "stepnav.tasks.mathematics.hendrycks_math",
    "math500": "stepnav.tasks.mathematics.math500",
    "humaneval": "stepnav.tasks.programs.humaneval",
    "humaneval-plus": "stepnav.tasks.programs.evalplus_humaneval",
    "mbpp": "stepnav.tasks.programs.mbpp",
    "mbpp-plus": "stepnav.tasks.programs.evalplus_mbpp",
    "apps": "stepnav.tasks.programs.apps",
    "code-contests": "stepnav.tasks.programs.code_contests",
    "livecodebench": "stepnav.tasks.programs.livecodebench",
    "micro-python": "stepnav.tasks.micro_python.task",
}

STDIN_TASKS = ("apps", "code-contests", "livecodebench")
"""Code tasks whose programs read standard input."""

CODE_TASKS = frozenset(
    {"humaneval", "humaneval-plus", "mbpp", "mbpp-plus", "micro-python", *STDIN_TASKS}
)
"""Tasks whose answers are programs, graded in the sandbox."""

EMBEDDED_TASKS = frozenset({"arithmetic", "plain", "micro-python"})
"""Tasks that make their own problems."""

TYPED_TASK = "plain"
"""The task of a question that somebody types."""

SANDBOX_LEVELS = ("process", "namespace", "docker", "unsafe")
"""The sandbox's own levels; named here so that they are checked without loading it."""


def load_task(
    name: str,
    *,
    sandbox: str = "process",
    question_field: str = "question",
    answer_field: str = "answer",
) -> Task:
    """Return a benchmark.

    Args:
      name: key of `TASKS`, a file of rows, FILE.py:NAME, or the name of a plugin.
      sandbox: level at which a code task runs programs.
      question_field, answer_field: where they stand in a row of such a file.

    Raises:
      ConfigError: there is no such benchmark, or a plugin is none.
      DataError: the file cannot be read.
    """
    if name in TASKS:
        make: Callable[[str], Task] = import_module(TASKS[name]).make_task
        return make(sandbox)
    found = find("tasks", name)
    path = Path(name)
    if found is None and path.suffix and path.is_file():
        found = path
    if found is None:
        known = [*TASKS, *entry_names("tasks")]
        raise ConfigError(
            f"no task is called {name!r}{nearest(name, known)}; "
            f"there are: {', '.join(known)}, a file "
            "of rows, and FILE.py:NAME"
        )
    return _from_outside(name, found, question_field, answer_field, sandbox)


def _from_outside(
    name: str, found: object, question_field: str, answer_field: str, sandbox: str
) -> Task:
    """Return the task that a plugin or a file of rows is."""
    from stepnav.tasks.checked import call, checked
    from stepnav.tasks.own import own_task

    label = Path(name.partition(":")[0]).name.partition(".")[0]
    if label in EMBEDDED_TASKS:  # its own problems and models are looked up by the task's name
        label += "-rows"
    if isinstance(found, Path):
        from stepnav.tasks.programs.stdin_programs import file_form, file_task

        form = file_form(found)
        if form is not None:
            return file_task(
                found, form, name=label, question_field=question_field, sandbox=sandbox
            )
    if callable(found) and not isinstance(found, Task):
        found = call(name, found)
    if isinstance(found, Task):
        return checked(found, name)
    if isinstance(found, (str, bytes)) or (
        not hasattr(found, "__iter__") and not isinstance(found, Path)
    ):
        raise ConfigError(
            f"the task {name} must be a Task, rows with a question and an answer, "
            "or a function that "
            f"returns one of these (got {found!r:.80})"
        )
    rows = partial(own_task, name=label, question_field=question_field, answer_field=answer_field)
    return rows(found) if isinstance(found, Path) else call(name, rows, found)


def check_sandbox(level: str) -> None:
    """Refuse a sandbox level that does not exist, also where no program is run.

    Raises:
      ConfigError: it does not.
    """
    choose("--sandbox", level, SANDBOX_LEVELS)


def load_programs(name: str, data: Path | None) -> Programs:
    """Return the problems of a code task for grading samples, those of all splits.

    Raises:
      ConfigError: no such task, or one whose answers are no programs.
      DataError: the benchmark's file is missing or broken.
    """
    if name not in CODE_TASKS:
        raise ConfigError(
            f"{name!r} is no code task{nearest(name, sorted(CODE_TASKS))}; "
            f"samples can be graded for {', '.join(sorted(CODE_TASKS))}"
        )
    from stepnav.tasks.programs.code_task import Programs, named_programs

    if name in EMBEDDED_TASKS:
        if data is not None:
            raise ConfigError(f"the {name} task makes its own problems; leave --data out")
        module = import_module("stepnav.tasks.micro_python.problems")
        return Programs(name, module.find, module.after_prompt, module.suite_of, None)
    return named_programs(load_task(name), data)
