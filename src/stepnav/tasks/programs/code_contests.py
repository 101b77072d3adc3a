"""CodeContests: programming contests with generated tests (Li et al. 2022, arXiv 2203.07814).

Files: JSON lines with the fields of the hub's rows (deepmind/code_contests): `description`,
`public_tests`, `private_tests`, `generated_tests`, `solutions`. Differs in: outputs are compared by
lines (`sandbox/streams.py`), and the row's time limit, which is for other languages, is not used.
"""

from __future__ import annotations

from stepnav.tasks.programs.stdin_programs import stdin_benchmark, stdin_task
from stepnav.tasks.task import Task

BENCHMARK = stdin_benchmark(
    "code-contests",
    ("train", "valid", "test"),
    ("deepmind/code_contests", None),
    "description",
    "public_tests",
)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; its programs are run at a level of the sandbox."""
    return stdin_task(BENCHMARK, sandbox)
