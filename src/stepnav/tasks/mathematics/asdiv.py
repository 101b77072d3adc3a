"""ASDiv: elementary problems of many types (Miao, Liang and Su 2020, arXiv 2106.15772).

Files: JSON rows with `body`, `question` and `answer` such as "9 (apples)", as the hub's copy
(EleutherAI/asdiv, 2,305 rows) and ToRA's have them; all of it is the test set. Units in parentheses
are no part of an answer. Graded as PAL does (Gao et al. 2022), numbers less than .001 apart.
Differs in: answers of several numbers or of words are kept and graded too, several in their order.
"""

from __future__ import annotations

import re

from stepnav.answers.canonical import canonical, parse_number
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.mathematics.number_problems import compare_stated, number_task, stated
from stepnav.tasks.task import Task


def _make(problem_id: str, row: Fields) -> Problem:
    body, question = text_field(row, "body").strip(), text_field(row, "question").strip()
    answer = re.sub(r"\s*\([^()]*\)", "", text_field(row, "answer")).strip() or str(row["answer"])
    if parse_number(answer) is not None:
        answer = canonical(answer)
    metadata = {"formula": str(row.get("formula", "")), "type": str(row.get("solution_type", ""))}
    return Problem(problem_id, f"{body} {question}", answer, metadata)


BENCHMARK = Benchmark(
    "asdiv", ("test",), ("EleutherAI/asdiv", None), _make, {"test": (None, "validation")}
)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    return number_task(BENCHMARK, extract=stated, compare=compare_stated, has_words=True)
