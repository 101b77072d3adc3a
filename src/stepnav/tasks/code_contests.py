"""CodeContests: programming contests with generated tests (Li et al. 2022, arXiv 2203.07814).

Files: JSON lines with the fields of the hub's rows (deepmind/code_contests): `description`,
`public_tests`, `private_tests`, `generated_tests`, `solutions`. Differs in: outputs are compared by
lines (`sandbox/streams.py`), and the row's time limit, which is for other languages, is not used.
"""

from __future__ import annotations

from stepnav.tasks.stdin_programs import (
    after_prompt,
    loader,
    names_of,
    stdin_benchmark,
    stdin_task,
    suite_of,
)
from stepnav.tasks.task import Task

__all__ = ["BENCHMARK", "after_prompt", "load", "make_task", "names_of", "suite_of"]

BENCHMARK = stdin_benchmark(
    "code-contests",
    ("train", "valid", "test"),
    ("deepmind/code_contests", None),
    "description",
    "public_tests",
)
load = loader(BENCHMARK)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; its programs are run at a level of the sandbox."""
    return stdin_task(BENCHMARK, sandbox, load)
