"""Whether two answers are the same: exactly, as numbers, and only then by math-verify.

The fast paths settle nearly all grade-school answers without a process. What they cannot settle
goes to workers that are killed by CPU time (see `worker`), with "timeout" as an outcome of its own:
neither right nor wrong, and reports count it.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import lru_cache

from stepnav.answers.canonical import canonical, parse_number
from stepnav.answers.pool import Verdict, WorkerPool

ROUNDING = Fraction(1, 2 * 10**6)
"""Half of the sixth decimal place: math-verify's rounding, used where a number is not whole."""


class AnswerChecker:
    """Compares answers; a context manager that ends its worker processes.

    Args:
      num_workers: most math-verify processes at once.
      cpu_s: CPU seconds that one comparison by math-verify may use.
    """

    def __init__(self, num_workers: int = 1, *, cpu_s: float = 5.0) -> None:
        self.pool = WorkerPool(num_workers, cpu_s=cpu_s)

    def compare(self, answer: str | None, reference: str) -> Verdict:
        """Return whether an answer equals the reference; no answer (None) differs.

        Raises:
          ConfigError: the fast paths did not settle it and math-verify is not installed.
        """
        if answer is None:
            return "different"
        return compare_fast(answer, reference) or self.pool.compare(answer, reference)

    def compare_many(self, pairs: Sequence[tuple[str | None, str]]) -> list[Verdict]:
        """Return one verdict per (answer, reference), same order, using all workers."""
        if self.pool.num_workers == 1 or len(pairs) < 2:
            return [self.compare(answer, reference) for answer, reference in pairs]
        with ThreadPoolExecutor(self.pool.num_workers) as threads:
            return list(threads.map(lambda pair: self.compare(*pair), pairs))

    def close(self) -> None:
        """End the worker processes; may be called twice."""
        self.pool.close()

    def __enter__(self) -> AnswerChecker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def compare_fast(answer: str, reference: str) -> Verdict | None:
    """Return the verdict if spelling or numbers settle it, None if they do not.

    Example:
      >>> compare_fast("1,000.0", "1000"), compare_fast("3", "4"), compare_fast("x+1", "1+x")
      ('equal', 'different', None)
    """
    if canonical(answer) == canonical(reference):
        return "equal" if canonical(reference) else "different"
    left, right = parse_number(answer), parse_number(reference)
    if left is None or right is None:
        return None if answer.strip() and reference.strip() else "different"
    if left.denominator == right.denominator == 1:
        return "different"
    return "equal" if abs(left - right) <= ROUNDING else "different"


def compare_numbers(answer: str | None, reference: str) -> Verdict:
    """Return the verdict where the reference is a number, so that math-verify is not needed.

    An answer that is no plain number differs.
    """
    if answer is None:
        return "different"
    return compare_fast(answer, reference) or "different"


def compare(answer: str | None, reference: str) -> Verdict:
    """Return whether two answers are equal, by one checker that all callers share."""
    return shared_checker().compare(answer, reference)


@lru_cache(maxsize=1)
def shared_checker() -> AnswerChecker:
    """Return the process-wide checker; its worker ends with the process."""
    checker = AnswerChecker()
    atexit.register(checker.close)
    return checker
