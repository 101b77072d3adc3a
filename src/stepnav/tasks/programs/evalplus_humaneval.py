"""HumanEval+: HumanEval with many more tests (Liu et al. 2023, arXiv 2305.01210).

Files: `HumanEvalPlus.jsonl.gz` of github.com/evalplus, or the hub's (evalplus/humanevalplus), whose
`test` holds inputs and results. All is as in `humaneval`, which reads such files too; HumanEval's
own file is not told from the second form, whose fields it has.
"""

from __future__ import annotations

from stepnav.tasks.benchmark_file import Benchmark
from stepnav.tasks.programs import humaneval
from stepnav.tasks.programs.code_task import make_code_task
from stepnav.tasks.task import Task

BENCHMARK = Benchmark(
    "humaneval-plus", ("test",), ("evalplus/humanevalplus", None), humaneval.BENCHMARK.make
)


def make_task(sandbox: str) -> Task:
    """Return the benchmark; its programs are run at a level of the sandbox."""
    return make_code_task(
        BENCHMARK.name, humaneval, sandbox, splits=BENCHMARK.splits,
        load=BENCHMARK.load,
    )  # fmt: skip
