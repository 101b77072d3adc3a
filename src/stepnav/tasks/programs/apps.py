"""APPS: 10,000 problems of programming contests (Hendrycks et al. 2021, arXiv 2105.09938).

Files: JSON lines as on the hub (codeparrot/apps), with `question`, `solutions` and `input_output`.
Differs in: outputs are compared by lines (`sandbox/streams.py`), where APPS' own grader also takes
other white space, sets of lines and near floats; problems that ask for a function are left out.
"""

from __future__ import annotations

from stepnav.tasks.programs.stdin_programs import stdin_benchmark, stdin_task
from stepnav.tasks.task import Task

BENCHMARK = stdin_benchmark(
    "apps", ("train", "test"), ("codeparrot/apps", "all"), "question", "input_output"
)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; its programs are run at a level of the sandbox."""
    return stdin_task(BENCHMARK, sandbox)
