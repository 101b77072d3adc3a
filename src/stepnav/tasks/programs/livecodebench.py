"""LiveCodeBench: contests by their date (Jain et al. 2024, arXiv 2403.07974), code generation.

Files: JSON lines with `question_content`, `public_test_cases`, `private_test_cases`, as on the
hub (livecodebench/code_generation). Differs in: lines of output are compared exactly, numbers too
(`sandbox/streams.py`); problems that ask for a function are left out.
"""

from __future__ import annotations

from stepnav.tasks.programs.stdin_programs import stdin_benchmark, stdin_task
from stepnav.tasks.task import Task

BENCHMARK = stdin_benchmark(
    "livecodebench",
    ("test",),
    ("livecodebench/code_generation", None),
    "question_content",
    "public_test_cases",
)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; its programs are run at a level of the sandbox."""
    return stdin_task(BENCHMARK, sandbox)
