"""GSM-Plus: GSM8K's test problems changed in eight ways (Li et al. 2024, arXiv 2402.19255).

Official files: `test` (10,552 rows) and `testmini` (2,400), with `question`, `solution`, `answer`,
`perturbation_type`. Some problems lack a condition: their answer is None. A solution that says so
(`UNKNOWN`, as the official grader's list) and marks no number answers None. Graded as GSM8K is.
"""

from __future__ import annotations

import re
from dataclasses import replace

from stepnav.answers.canonical import canonical, parse_number
from stepnav.answers.extract import extract_number, has_mark
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.mathematics import number_problems
from stepnav.tasks.mathematics.number_problems import number_task, stated, stated_line
from stepnav.tasks.task import Task

_PHRASES = (
    r"\bnone\b|missing necessary information|(?:\bnot |n't |cannot )"
    r"(?:(?:have |provide )?enough|provide|specify|mention|know|calculate|determine)"
)
UNKNOWN = re.compile(_PHRASES, re.IGNORECASE)
_UNKNOWN_FIRST = re.compile(rf"\D*?(?:{_PHRASES})(?!\s+of\b)", re.IGNORECASE)
"""Of a line that states an answer: before any digit; "none of 5" is a number."""

_NO_NUMBER = rf"####[^\nA-Za-z0-9#]*(?:[A-Za-z' ]{{0,60}}\b)?(?i:{_PHRASES})"
ANSWER_PATTERN = f"{number_problems.ANSWER_PATTERN}|{_NO_NUMBER}"
"""What ends a solution: a number, or that there is none."""


def extract(text: str) -> str | None:
    """Return the number that a solution states, or None as a word if it says there is none."""
    if not UNKNOWN.search(text):
        return extract_number(text)
    is_marked = "####" in text or has_mark(text)
    line = (stated_line(text) or stated(text) or "") if is_marked else ""
    has_number = any(map(str.isdigit, line)) and not _UNKNOWN_FIRST.match(line)
    return extract_number(text) if has_number else "None"


def _make(problem_id: str, row: Fields) -> Problem:
    answer = str(row["answer"]).strip()
    if answer != "None" and parse_number(answer) is None:
        raise ValueError(f"field 'answer' must be a number or None (got {answer!r})")
    metadata = {"solution": str(row["solution"]), "type": text_field(row, "perturbation_type")}
    answer = answer if answer == "None" else canonical(answer)
    return Problem(problem_id, text_field(row, "question"), answer, metadata)


BENCHMARK = Benchmark("gsm-plus", ("test", "testmini"), ("qintongli/GSM-Plus", None), _make)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    task = number_task(BENCHMARK, extract=extract, has_words=True)
    return replace(task, answer_pattern=ANSWER_PATTERN)
