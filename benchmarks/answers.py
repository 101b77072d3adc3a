"""Time and verdicts of answer comparison: fast paths, math-verify workers, and the CPU limit.

Run: python benchmarks/answers.py MATH_FILE.jsonl.gz
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from stepnav.answers.equal import AnswerChecker, compare_fast
from stepnav.tasks.mathematics import math500

SUM = r"\sum_{k=1}^{4} k"
"""What only math-verify reads."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="a file of MATH rows")
    parser.add_argument("--count", type=int, default=500)
    arguments = parser.parse_args()
    problems = math500.load("test", arguments.count, path=arguments.path)
    answers = [str(problem.answer) for problem in problems]

    began = time.perf_counter()
    own = Counter(compare_fast(answer, answer) for answer in answers)
    print(f"an answer with itself, fast path: {_each(began, answers)}, {dict(own)}")

    pairs = list(zip(answers, answers[1:] + answers[:1]))
    began = time.perf_counter()
    others = Counter(str(compare_fast(*pair)) for pair in pairs)
    print(f"an answer with the next, fast path: {_each(began, pairs)}, {dict(others)}")

    plain = [(str(n), str(n + n % 2)) for n in range(1000)]
    began = time.perf_counter()
    numbers = Counter(compare_fast(*pair) for pair in plain)
    print(f"plain numbers: {_each(began, plain)}, {dict(numbers)}")

    slow = [(f"{SUM} + {n}", str(10 + n + n % 2)) for n in range(20)]
    with AnswerChecker(cpu_s=5.0) as checker:
        began = time.perf_counter()
        checker.compare(SUM, "10")
        print(f"first slow comparison, worker start included: {time.perf_counter() - began:.2f} s")
        began = time.perf_counter()
        verdicts = Counter(checker.compare(*pair) for pair in slow)
        print(f"sums, worker: {_each(began, slow)}, {dict(verdicts)}")
    with AnswerChecker(cpu_s=1.0) as checker:
        checker.compare(SUM, "10")
        began = time.perf_counter()
        verdict = checker.compare("9^{9^{9^{9}}}", r"\pi")
        print(
            f"a huge power under a limit of 1 CPU s: {verdict}, {time.perf_counter() - began:.2f} s"
        )


def _each(began: float, items: list[str] | list[tuple[str, str]]) -> str:
    seconds = (time.perf_counter() - began) / max(1, len(items))
    return f"{seconds * 1e6:.0f} us each of {len(items)}"


if __name__ == "__main__":
    main()
