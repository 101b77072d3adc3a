"""A task of the user's own rows: a list of dicts, a `datasets.Dataset`, or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepnav.answers.canonical import spellings
from stepnav.answers.equal import compare_fast, shared_checker
from stepnav.answers.extract import extract_answer, last_boxed
from stepnav.answers.pool import lacks_math
from stepnav.core.errors import ConfigError, DataError, nearest
from stepnav.core.records import Problem
from stepnav.files.rows import every_row
from stepnav.tasks.benchmark_file import draw
from stepnav.tasks.checked import CheckedGrade, GradeFault
from stepnav.tasks.mathematics.number_problems import WORDS_PATTERN, hashed_line
from stepnav.tasks.task import Task

SPLIT = "test"
"""The only split of such a task."""

PROMPT_TEMPLATE = "Question: {question}\nAnswer:\n"
CHAT_TEMPLATE = (
    "Solve the problem step by step. Write each step on one line of its own. "
    "End with a line that holds only #### and the final answer.\n\n{question}"
)

_VERDICTS = {"equal": True, "different": False, "timeout": None}


def own_task(
    rows: Iterable[Mapping[str, Any]] | Path,
    *,
    name: str = "own",
    question_field: str = "question",
    answer_field: str = "answer",
    grade: Callable[[str, str], bool | None] | None = None,
) -> Task:
    """Return a task over rows that have a question and, if they are to be graded, an answer.

    Args:
      rows: mappings, or a file of such rows (JSON lines, a JSON list or Parquet, gzipped or not).
      name: its name in reports.
      question_field, answer_field: where the two stand in a row.
      grade: (answer that was found, the row's answer) to whether it is right, None if that cannot
        be told; None compares as mathematics.
    Raises:
      DataError: the file cannot be read, or a row lacks its question.
    """
    named: Iterable[tuple[str, Any]] = (
        ((row.place, row.fields) for row in every_row(rows))
        if isinstance(rows, Path)
        else ((f"row {i}", r) for i, r in enumerate(rows))
    )
    problems = [
        _problem(f"{name}-{number}", where, row, question_field, answer_field)
        for number, (where, row) in enumerate(named)
    ]
    if not problems:
        raise DataError(f"{rows if isinstance(rows, Path) else 'the task'} holds no rows")

    def load(split: str, count: int | None, seed: int, path: Path | None) -> list[Problem]:
        if path is not None:
            raise ConfigError(f"the task {name} brings its own problems; leave --data out")
        if split != SPLIT:
            raise ConfigError(f"the task {name} has one split, {SPLIT} (got {split!r})")
        if grade is None and lacks_math():
            _refuse_formulas(problems)
        return draw(problems, count, seed)

    def verdict(problem: Problem, answer: str | None) -> bool | None:
        if problem.answer is None:
            return None
        if answer is None:
            return False
        if grade is not None:
            return grade(answer, problem.answer)
        return _compared(problem.id, answer, problem.answer)

    return Task(
        name=name,
        splits=(SPLIT,),
        default_split=SPLIT,
        prompt_template=PROMPT_TEMPLATE,
        chat_template=CHAT_TEMPLATE,
        answer_pattern=WORDS_PATTERN,
        load=load,
        extract=_extract,
        grade=CheckedGrade(name, verdict),
        alike=lambda problem: spellings(),
    )


def _compared(problem_id: str, answer: str, reference: str) -> bool | None:
    """Return whether an answer is the reference as mathematics, None if that takes too long.

    Raises:
      GradeFault: what the comparison needs is not installed.
    """
    try:
        return _VERDICTS[shared_checker().compare(answer, reference)]
    except ConfigError as error:
        raise GradeFault(
            f"the answer to {problem_id} cannot be graded: {error}, then "
            "stepnav report RUN --grade-again"
        ) from error


def _refuse_formulas(problems: Sequence[Problem]) -> None:
    """Refuse answers that are compared by their values, where what works those out is missing.

    Raises:
      ConfigError: there is one.
    """
    for problem in problems:
        try:
            for other in ("1", "x") if problem.answer else ():
                compare_fast(other, problem.answer or "")
        except ConfigError as error:
            raise ConfigError(
                f"{problem.id} has the answer {problem.answer!r:.80}: {error}"
            ) from None


def _extract(text: str) -> str | None:
    """Return a solution's final answer: what is boxed, else what follows the last `####`."""
    return last_boxed(text) or hashed_line(text) or extract_answer(text)


def _problem(
    problem_id: str, where: str, row: Any, question_field: str, answer_field: str
) -> Problem:
    if not isinstance(row, Mapping):
        raise DataError(f"{where} is no object of fields (got {row!r:.80})")
    question = row.get(question_field)
    if not isinstance(question, str) or not question.strip():
        meant = "" if question_field in row else nearest(question_field, list(row))
        raise DataError(
            f"{where} has no text in the field {question_field!r}{meant}; "
            f"it has {', '.join(map(str, row)) or 'none'}"
        )
    answer = row.get(answer_field)
    if isinstance(answer, str) and "####" in answer:  # GSM8K's solutions end so
        answer = answer.rpartition("####")[2].strip()
    return Problem(problem_id, question, None if answer is None else str(answer))
