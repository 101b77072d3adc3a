r"""MATH: all 12,500 competition problems (Hendrycks et al. 2021, arXiv 2103.03874).

Files: the official folder (`train` and `test`, a JSON file a problem), or JSON lines with
`problem`, `solution`, `level`, and `type` or `subject`. `orig_split` or `unique_id` says its row's
split. An answer that is not given is what the solution boxes last. All else is `math500`'s.
"""

from __future__ import annotations

from dataclasses import replace

from stepnav.answers.extract import last_boxed
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.mathematics import math500
from stepnav.tasks.task import Task


def _make(problem_id: str, row: Fields) -> Problem:
    answer = row.get("answer", last_boxed(text_field(row, "solution")) or "")
    split = row.get("orig_split") or str(row.get("unique_id", "")).partition("/")[0]
    problem = math500.BENCHMARK.make(problem_id, {**row, "answer": answer})
    return replace(problem, metadata={**problem.metadata, "split": split})


BENCHMARK = Benchmark(
    "math",
    ("train", "test"),
    ("DigitalLearningGmbH/MATH-lighteval", None),
    _make,
    is_of=lambda problem, split: problem.metadata["split"] in ("", split),
    none_text="of MATH's {split} split",
)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    load = math500.needs_math("math", BENCHMARK.load)
    return replace(math500.make_task(sandbox), name="math", load=load)
