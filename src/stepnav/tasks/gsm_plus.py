"""GSM-Plus: GSM8K's test problems changed in eight ways (Li et al. 2024, arXiv 2402.19255).

Official files: `test` (10,552 rows) and `testmini` (2,400), with `question`, `solution`, `answer`,
`perturbation_type`. Some problems lack a condition: their answer is None. A solution that says so
(`UNKNOWN`, as the official grader's list) and marks no number answers None. Graded as GSM8K is.
"""

from __future__ import annotations

import re

from stepnav.answers.canonical import canonical, parse_number
from stepnav.answers.extract import extract_number, has_mark
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.number_problems import number_task, stated
from stepnav.tasks.task import Task

UNKNOWN = re.compile(
    r"""(?i)\bnone\b|missing necessary information|(?:\bnot |n't |cannot )
(?:(?:have |provide )?enough|provide|specify|mention|know|calculate|determine)""".replace("\n", "")
)


def extract(text: str) -> str | None:
    """Return the number that a solution states, or None as a word if it says there is none."""
    is_marked = "####" in text or has_mark(text)
    has_number = is_marked and any(map(str.isdigit, stated(text) or ""))
    return "None" if UNKNOWN.search(text) and not has_number else extract_number(text)


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
    return number_task(BENCHMARK, extract=extract, has_words=True)
